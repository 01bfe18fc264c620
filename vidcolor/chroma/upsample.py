"""Small chroma to full size, along the edges of full-size luma: tensors in, tensors out."""

import threading
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.chroma.resize import resize_planes

FLAT = 0.003
"""Variance of luma in [0, 1] at which chroma follows luma half as much as it could.

Chosen on color clips (benchmarks/edges.py): less lets grain and texture into the colors, more
lets the colors bleed.
"""

TOGETHER = 4
"""Frames that are enlarged at once on a GPU: enough to keep it busy, few enough for its memory."""

STRIP = 32
"""Rows that are computed at once on a CPU, so that they stay in its cache."""


def upsample(chroma: Tensor, guide: Tensor) -> Tensor:
    """Enlarge chroma so that its edges lie where those of luma do.

    chroma: (B, 2, h', w') float32 of any size; guide: (B, 1, h, w) uint8, the luma of the same
    pictures, full range -> (B, 2, h, w) float32, within the range of `chroma`. On a CPU or a GPU;
    both tensors on one device.

    Where luma and chroma change together, the larger luma locates the change. For each neighborhood
    a line is fitted to chroma over luma at the small size, as in the fast guided filter (He and
    Sun, 2015, https://arxiv.org/abs/1505.00996). That filter keeps only the fitted part; here the
    slope only adds the detail that the small chroma lacks, and chroma itself is kept, so that
    colors without a counterpart in luma neither fade nor bleed. No color leaves the range of its
    small neighbors: titles, scratches and the far sides of edges would otherwise get colors that
    occur nowhere in the picture.
    """
    size = guide.shape[-2:]
    luma = guide.float() / 255
    slope, offset, least, greatest = _small_planes(chroma, luma)
    enlarged = (
        resize_planes(slope, size, "bicubic")
        .mul_(luma)
        .add_(resize_planes(offset, size, "bicubic"))
    )
    return enlarged.clamp_(
        resize_planes(least, size, "bilinear"), resize_planes(greatest, size, "bilinear")
    )


def enlarged_codes(chroma: Tensor, guides: Sequence[Tensor], full_range: bool) -> Tensor:
    """`matrices.to_codes` of what `upsample` makes of each frame, with less memory and time.

    chroma: (B, 2, h', w') float32; guides: B times (h, w) uint8, on any device
    -> (B, 2, h, w) uint8 on the device of `chroma`.
    """
    codes = torch.empty(len(chroma), 2, *guides[0].shape, dtype=torch.uint8, device=chroma.device)
    if chroma.device.type == "cpu":
        for frame, guide, target in zip(chroma, guides, codes, strict=True):
            _enlarge_on_cpu(frame[None], guide.numpy(), full_range, target.numpy())
        return codes
    for begin in range(0, len(chroma), TOGETHER):
        some = slice(begin, begin + TOGETHER)
        guide = torch.stack([*guides[some]])[:, None].to(chroma.device)
        codes[some] = matrices.to_codes(upsample(chroma[some], guide), full_range)
    return codes


def _small_planes(chroma: Tensor, luma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """At the smaller of both sizes: slope and offset of the line, least and greatest chroma."""
    small = [min(sides) for sides in zip(luma.shape[-2:], chroma.shape[-2:], strict=True)]
    chroma = resize_planes(chroma, small, "area")
    coarse = resize_planes(luma, small, "area")
    slope = _slope(coarse, chroma)
    return slope, chroma - slope * coarse, -_greatest(-chroma), _greatest(chroma)


def _enlarge_on_cpu(chroma: Tensor, guide: NDArray, full_range: bool, codes: NDArray) -> None:
    """One frame, as by `upsample` and `matrices.to_codes`, bit for bit.

    Fresh memory for each step would cost more than the arithmetic.
    """
    height, width = guide.shape
    scratch = _scratch(height, width)
    luma = cv2.LUT(guide, _SHARES, scratch[0])
    small = _small_planes(chroma, torch.from_numpy(luma)[None, None])
    methods = (cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LINEAR)
    scale, low, high = matrices.code_range(full_range)
    for number, target in enumerate(codes):
        for planes, into, method in zip(small, scratch[1:], methods, strict=True):
            plane = planes[0, number].numpy()
            if plane.shape == guide.shape:
                np.copyto(into, plane)
            else:
                cv2.resize(plane, (width, height), into, interpolation=method)
        for top in range(0, height, STRIP):
            rows = slice(top, top + STRIP)
            shares, color, offset, least, greatest = (plane[rows] for plane in scratch)
            color *= shares
            color += offset
            np.maximum(color, least, out=color)
            np.minimum(color, greatest, out=color)
            color *= scale
            color += np.float32(128)
            np.rint(color, out=color)
            np.clip(color, low, high, out=color)
            target[rows] = color


_SHARES = (torch.arange(256).float() / 255).numpy()
"""Luma of [0, 1] for each code."""

_kept = threading.local()


def _scratch(height: int, width: int) -> NDArray:
    """(5, height, width) float32, the same again for each thread."""
    planes = getattr(_kept, "planes", None)
    if planes is None or planes.shape[1:] != (height, width):
        planes = _kept.planes = np.empty((5, height, width), np.float32)
    return planes


def _slope(luma: Tensor, chroma: Tensor) -> Tensor:
    """By how much chroma changes with luma around each pixel; of the shape of `chroma`."""
    mean_luma, mean_chroma = _mean(luma), _mean(chroma)
    variance = (_mean(luma * luma) - mean_luma * mean_luma).clamp(min=0)
    covariance = _mean(luma * chroma) - mean_luma * mean_chroma
    return _mean(covariance / (variance + FLAT))


# Both are many times as fast as torch's pooling.


def _mean(planes: Tensor) -> Tensor:
    """The mean of each pixel and its eight neighbors."""
    x = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    x = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    return (x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]) / 9


def _greatest(planes: Tensor) -> Tensor:
    """The greatest of each pixel and its eight neighbors."""
    x = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    x = x[..., :-2].maximum(x[..., 1:-1]).maximum(x[..., 2:])
    return x[..., :-2, :].maximum(x[..., 1:-1, :]).maximum(x[..., 2:, :])
