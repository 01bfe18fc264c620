"""Small pictures for the page: the frame in hand, before and after, and the cells of a sheet."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcolor.chroma.matrices import RED_AND_BLUE
from vidcolor.media.probe import Film
from vidcolor.media.still.picture import read_picture, to_8_bits

if TYPE_CHECKING:
    from vidcolor.pipeline import EncodedFrame

WIDTH = 960
"""Pixels; smaller pictures are not enlarged beyond it."""

TALLEST = 4 * WIDTH
"""Pixels."""

BEFORE, AFTER = "before.webp", "after.webp"


def write_webp(path: Path, pixels: NDArray) -> None:
    """Write (h, w) or (h, w, 3) uint8; the file is there when it is whole."""
    unfinished = path.with_suffix(".part")
    Image.fromarray(pixels).convert("RGB").save(unfinished, "WEBP", quality=85, method=2)
    unfinished.replace(path)


def show_frame(folder: Path, frame: "EncodedFrame", film: Film, aspect: float) -> None:
    """Write the frame as it was and as it is colored.

    aspect: width over height of the picture as it is displayed.
    """
    luma = frame.luma.guide if frame.luma.guide is not None else frame.luma.pixels
    size = shown_size(luma.shape[1], aspect)
    gray = np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BICUBIC))
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR), np.float32)
        for plane in frame.chroma
    ]
    write_webp(folder / BEFORE, gray)
    write_webp(folder / AFTER, _rgb(gray, planes, film))


def shown_size(width: int, aspect: float) -> tuple[int, int]:
    """(width, height) in which a frame of these proportions is shown, with so wide a luma."""
    across = min(WIDTH, max(2 * width, 320), TALLEST * aspect)
    return max(16, round(across)), max(16, round(across / aspect))


def show_still(folder: Path, source: Path, target: Path) -> None:
    """Write a still as it was and as it is colored, reduced."""
    for name, path in ((BEFORE, source), (AFTER, target)):
        picture = Image.fromarray(to_8_bits(read_picture(path).rgb))
        picture.thumbnail((WIDTH, TALLEST))
        write_webp(folder / name, np.asarray(picture))


def _rgb(gray: NDArray, planes: list[NDArray], film: Film) -> NDArray:
    """Luma (h, w) uint8 of full range, and code values of chroma -> (h, w, 3) uint8."""
    red, blue = RED_AND_BLUE[film.matrix]
    scale = 1.0 if film.full_range else 255 / 224
    cb, cr = ((plane - 128) * scale for plane in planes)
    luma = gray.astype(np.float32)
    r, b = luma + (2 - 2 * red) * cr, luma + (2 - 2 * blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.stack((r, g, b), -1).round().clip(0, 255).astype(np.uint8)
