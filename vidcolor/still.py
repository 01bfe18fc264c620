"""One still, path to path."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma import matrices, opencv_yuv
from vidcolor.chroma.upsample import upsample
from vidcolor.inference.colorizer import Colorizer
from vidcolor.media.publish import refuse_source
from vidcolor.media.still.picture import read_picture, to_8_bits, write_picture

STRIP_ROWS = 256
"""Rows that are merged together, so that large scans need little memory beside their own."""

GUIDE_SIDE = 4096
"""Longest side at which luma guides the colors of a still; those of larger ones are stretched."""


def colorize_image(source: Path, target: Path, colorizer: Colorizer) -> None:
    """Color a still and write it in the format of the target's suffix.

    The picture is set upright; its depth, alpha, EXIF, color profile and resolution are kept as
    far as the format can hold them. A target that exists is replaced, once the new one is complete.
    Raises MediaError if the source cannot be read, the target not be written, or both are one.
    """
    refuse_source(source, target)
    picture = read_picture(source)
    write_picture(target, replace(picture, rgb=colorize_pixels(picture.rgb, colorizer)))


def colorize_pixels(rgb: NDArray, colorizer: Colorizer) -> NDArray:
    """Give a picture new colors and keep its luma; (H, W, 3) uint8 or uint16 RGB -> the same."""
    if colorizer.makes_rgb and colorizer.settings.edges == "bilinear":
        return _painted(rgb, colorizer)
    return _tinted(rgb, colorizer)


def _painted(rgb: NDArray, colorizer: Colorizer) -> NDArray:
    """DeOldify's way: the square, resized *before* it is made gray, comes back as a picture, of
    which OpenCV's U and V are taken. With 8 bits, every step is the original's to the byte.
    """
    height, width, _ = rgb.shape
    square = Image.fromarray(to_8_bits(rgb)).resize(
        colorizer.luma_size(width, height), Image.Resampling.BILINEAR
    )
    gray = torch.from_numpy(np.array(square.convert("L")))
    paint = colorizer.rgb(gray[None, None])[0].movedim(0, 2).numpy()
    raw = np.asarray(Image.fromarray(paint).resize((width, height), Image.Resampling.BILINEAR))
    colored = np.empty_like(rgb)
    settings = colorizer.settings
    for rows in _strips(height):
        uv = opencv_yuv.trim(opencv_yuv.uv(_levels(raw[rows])), settings.saturation, settings.hue)
        luma = opencv_yuv.luma(_levels(rgb[rows]))
        if rgb.dtype == np.uint8:
            luma = opencv_yuv.half_up(luma)
        colored[rows] = _pixels(opencv_yuv.merge(luma, uv), rgb.dtype)
    return colored


def _tinted(rgb: NDArray, colorizer: Colorizer) -> NDArray:
    """The way of films: chroma, enlarged, joins the luma of every pixel."""
    height, width, _ = rgb.shape
    gray = Image.fromarray(to_8_bits(rgb)).convert("L")
    small = gray.resize(colorizer.luma_size(width, height), Image.Resampling.BILINEAR)
    chroma = colorizer.chroma(torch.from_numpy(np.array(small))[None, None]).cpu()
    if colorizer.settings.edges == "guided":
        gray.thumbnail((GUIDE_SIDE, GUIDE_SIDE), Image.Resampling.BOX)
        chroma = upsample(chroma, torch.from_numpy(np.array(gray))[None, None])
    if chroma.shape[2:] != (height, width):
        chroma = F.interpolate(chroma, (height, width), mode="bicubic")
    colored = np.empty_like(rgb)
    for rows in _strips(height):
        luma = matrices.rgb_to_luma(_levels(rgb[rows]) / 255)
        colored[rows] = _pixels(matrices.merge(luma, chroma[:, :, rows]) * 255, rgb.dtype)
    return colored


def _strips(height: int) -> Iterator[slice]:
    for start in range(0, height, STRIP_ROWS):
        yield slice(start, start + STRIP_ROWS)


def _levels(rgb: NDArray) -> Tensor:
    """(H, W, 3) uint8 or uint16 -> (1, 3, H, W) float32 in 0 to 255."""
    levels = torch.from_numpy(rgb.astype(np.float32)).movedim(2, 0)[None]
    return levels / 257 if rgb.dtype == np.uint16 else levels


def _pixels(levels: Tensor, dtype: np.dtype) -> NDArray:
    """(1, 3, H, W) in 0 to 255 -> (H, W, 3) of `dtype`, rounded half up and clamped."""
    peak = np.iinfo(dtype).max
    levels = opencv_yuv.half_up(levels * (peak / 255)).clamp(0, peak)
    return levels[0].movedim(0, 2).numpy().astype(dtype)
