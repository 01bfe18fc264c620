"""Arrays in, arrays out: single pictures, batches of them, and the frames of any source."""

from collections import abc, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Literal, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma import matrices, opencv_yuv
from vidcolor.chroma.edges import check_edges
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.chroma.upsample import upsample
from vidcolor.errors import VidcolorError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.device import enough_memory
from vidcolor.media.read import LumaFrame
from vidcolor.media.still.picture import to_8_bits
from vidcolor.pipeline import colored_frames

STRIP_ROWS = 256
"""Rows that are merged together, so that large scans need little memory beside their own."""

GUIDE_SIDE = 4096
"""Longest side at which luma guides the colors of a picture; those of larger ones are stretched."""

Size: TypeAlias = tuple[int, int]
"""(width, height)"""


def colorize_array(array: NDArray, colorizer: Colorizer, *, edges: str = "guided") -> NDArray:
    """Color a picture, or a batch of independent pictures, and keep their luma.

    array: (H, W) gray or (H, W, 3) RGB; or N of them, (N, H, W) or (N, H, W, 3). uint8, uint16, or
    floating point in [0, 1]. Three dimensions of which the last is 3 are one RGB picture.
    edges: "guided" enlarges colors along the edges of luma, "bilinear" interpolates them, and with
    a generator that makes RGB follows DeOldify's arithmetic step by step.
    -> RGB of the same type: (H, W, 3) or (N, H, W, 3).
    Raises VidcolorError for another shape, type or range; DeviceError and WeightsError as
    `Colorizer.chroma` does. The frames of a film are better colored by `colorize_frames`, which
    keeps their colors from flickering.
    """
    check_edges(edges)
    pictures, single = _as_pictures(array)
    with enough_memory("a picture was colored", "close other programs, or scale it down"):
        colored = np.empty(pictures.shape, pictures.dtype)
        step = colorizer.batch_size
        for first in range(0, len(pictures), step):
            batch = slice(first, first + step)
            if colorizer.makes_rgb and edges == "bilinear":
                _color_as_deoldify(pictures[batch], colorizer, colored[batch])
            else:
                _color(pictures[batch], colorizer, edges, colored[batch])
    return colored[0] if single else colored


def colorize_frames(
    frames: Iterable[NDArray],
    colorizer: Colorizer,
    smooth: SmoothSettings | None = None,
    *,
    edges: str = "guided",
    output: Literal["rgb", "chroma"] = "rgb",
    on_frame: Callable[[int], object] = lambda done: None,
) -> abc.Generator[NDArray, None, None]:
    """Color the frames of a film that another program decodes, as `colorize_film` would.

    frames: in the film's order and all of one size: (H, W) gray or (H, W, 3) RGB; uint8, uint16, or
    floating point in [0, 1]. They are read in another thread, some batches ahead, so each must be
    an array of its own, which is not written to again.
    smooth: how much colors are filtered over time; None for the default.
    edges: as for `colorize_array`.
    output: "rgb" yields (H, W, 3) of the frame's type; "chroma" yields (2, H, W) float32, the
    BT.601 chroma (Cb, Cr) in [-0.5, 0.5], for programs that keep their own luma.
    on_frame: called with the number of colored frames before each is yielded.

    One array is yielded for each frame, in the same order. Closing the generator, or leaving a
    `for` loop over it and deleting it, ends its threads.
    Raises VidcolorError for frames of another kind, DeviceError and WeightsError.
    """
    check_edges(edges)
    pictures: deque[NDArray] = deque()
    luma = _luma_frames(frames, colorizer, edges, pictures)
    numbered = ((0, frame) for frame in luma)
    with closing(colored_frames(numbered, colorizer, smooth or SmoothSettings())) as colored:
        for number, frame in enumerate(colored, 1):
            picture = pictures.popleft()
            with enough_memory("colors were enlarged", 'use edges="bilinear"'):
                chroma = _full_size(frame.chroma[None], frame.luma.guide, picture.shape)
                made = chroma[0].numpy()
                if output == "rgb":
                    made = np.empty(picture.shape, picture.dtype)
                    _merge(picture, chroma, made)
            on_frame(number)
            yield made


def _as_pictures(array: NDArray) -> tuple[NDArray, bool]:
    """(N, H, W, 3), checked, and whether the array was a single picture."""
    array = np.asarray(array)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4)):
        array, single = array[None], True
    else:
        single = False
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not array.size:
        raise VidcolorError(
            f"an array of shape {array.shape[single:]} is not a picture; give (H, W), (H, W, 3), "
            "(N, H, W) or (N, H, W, 3), without alpha"
        )
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):  # not so for NaN either
            raise VidcolorError("floating-point pictures must be in the range from 0 to 1")
    elif array.dtype not in (np.uint8, np.uint16):
        raise VidcolorError(
            f"pictures of type {array.dtype} are not supported; give uint8, uint16 or float"
        )
    return np.broadcast_to(array, (*array.shape[:3], 3)), single


def _color_as_deoldify(pictures: NDArray, colorizer: Colorizer, into: NDArray) -> None:
    """The original's steps: the square, resized *before* it is made gray, comes back as a picture,
    of which OpenCV's U and V are taken. With 8 bits, every step is the original's to the byte.
    """
    height, width = pictures.shape[1:3]
    size = colorizer.luma_size(width, height)
    squares = [_image(picture).resize(size, Image.Resampling.BILINEAR) for picture in pictures]
    made = colorizer.rgb(_luma_batch([square.convert("L") for square in squares]))
    settings = colorizer.settings
    for picture, rgb, target in zip(pictures, made.movedim(1, 3).numpy(), into, strict=True):
        raw = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        for rows in _strips(height):
            uv = opencv_yuv.uv(_levels(raw[rows]))
            uv = opencv_yuv.trim(uv, settings.saturation, settings.hue)
            luma = opencv_yuv.luma(_levels(picture[rows]))
            if picture.dtype == np.uint8:
                luma = opencv_yuv.half_up(luma)
            target[rows] = _pixels(opencv_yuv.merge(luma, uv), picture.dtype)


def _color(pictures: NDArray, colorizer: Colorizer, edges: str, into: NDArray) -> None:
    """As films are colored: chroma, enlarged, joins the luma of every pixel."""
    height, width = pictures.shape[1:3]
    size = colorizer.luma_size(width, height)
    grays = [_image(picture).convert("L") for picture in pictures]
    small = [gray.resize(size, Image.Resampling.BILINEAR) for gray in grays]
    made = colorizer.chroma(_luma_batch(small)).cpu()
    for picture, gray, chroma, target in zip(pictures, grays, made, into, strict=True):
        guide = None
        if edges == "guided":
            gray.thumbnail((GUIDE_SIDE, GUIDE_SIDE), Image.Resampling.BOX)
            guide = np.array(gray)
        _merge(picture, _full_size(chroma[None], guide, picture.shape), target)


def _luma_frames(
    frames: Iterable[NDArray], colorizer: Colorizer, edges: str, pictures: deque[NDArray]
) -> Iterator[LumaFrame]:
    """Each frame at the generator's input size; the frames themselves are put into `pictures`."""
    scores = CutScores()
    shape = None
    guided = edges == "guided"
    for number, frame in enumerate(frames):
        (picture, *others), single = _as_pictures(frame)
        if others or not single:
            raise VidcolorError(f"frame {number} is several pictures; give one at a time")
        shape = shape or picture.shape
        if picture.shape != shape:
            raise VidcolorError(
                f"frame {number} is of another size than those before; color it in another call"
            )
        gray = np.array(_image(picture).convert("L"))
        height, width = gray.shape
        size = colorizer.luma_size(width, height)
        small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        pictures.append(picture)
        yield LumaFrame(number, small, scores.next(small), gray if guided else None)


class CutScores:
    """Change of each frame against the one before, 0 to 100, as by ffmpeg's filter scdet."""

    def __init__(self) -> None:
        self._last: NDArray | None = None
        self._difference = 0.0

    def next(self, luma: NDArray) -> float:
        """luma: (h, w) uint8, of the same size in each call."""
        before, self._last = self._last, luma
        if before is None:
            return 0.0
        difference = 100 * float(cv2.absdiff(luma, before).mean()) / 256
        score = min(difference, abs(difference - self._difference))
        self._difference = difference
        return score


def _full_size(chroma: Tensor, guide: NDArray | None, shape: tuple[int, ...]) -> Tensor:
    """(1, 2, h, w) -> (1, 2, H, W) on the CPU; `shape` begins with (H, W)."""
    if guide is not None:
        chroma = upsample(chroma, torch.from_numpy(guide)[None, None].to(chroma.device))
    if chroma.shape[2:] != shape[:2]:
        chroma = F.interpolate(chroma, shape[:2], mode="bicubic").clamp(-0.5, 0.5)
    return chroma.cpu()


def _merge(picture: NDArray, chroma: Tensor, into: NDArray) -> None:
    """The picture's own luma with chroma (1, 2, H, W)."""
    for rows in _strips(len(picture)):
        luma = matrices.rgb_to_luma(_levels(picture[rows]) / 255)
        into[rows] = _pixels(matrices.merge(luma, chroma[:, :, rows]) * 255, picture.dtype)


def _image(picture: NDArray) -> Image.Image:
    """Of 8 bits."""
    if picture.dtype.kind == "f":
        return Image.fromarray((picture.astype(np.float32) * 255 + 0.5).astype(np.uint8))
    return Image.fromarray(to_8_bits(picture))


def _luma_batch(grays: list[Image.Image]) -> Tensor:
    """(N, 1, h, w) uint8"""
    return torch.from_numpy(np.stack([np.asarray(gray) for gray in grays])[:, None])


def _strips(height: int) -> Iterator[slice]:
    for start in range(0, height, STRIP_ROWS):
        yield slice(start, start + STRIP_ROWS)


def _peak(dtype: np.dtype) -> int:
    """The value of white in pictures of this type."""
    return 1 if dtype.kind == "f" else np.iinfo(dtype).max


def _levels(rgb: NDArray) -> Tensor:
    """(H, W, 3) of any type -> (1, 3, H, W) float32 in 0 to 255."""
    levels = torch.from_numpy(rgb.astype(np.float32)).movedim(2, 0)[None]
    peak = _peak(rgb.dtype)
    return levels if peak == 255 else levels / (peak / 255)


def _pixels(levels: Tensor, dtype: np.dtype) -> NDArray:
    """(1, 3, H, W) in 0 to 255 -> (H, W, 3) of `dtype`, clamped; whole numbers rounded half up."""
    peak = _peak(dtype)
    levels = levels * (peak / 255)
    if dtype.kind != "f":
        levels = opencv_yuv.half_up(levels)
    return levels.clamp(0, peak)[0].movedim(0, 2).numpy().astype(dtype)
