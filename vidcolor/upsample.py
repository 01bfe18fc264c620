"""Small chroma to full size, along the edges of full-size luma: tensors in, tensors out."""

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

FLAT = 0.004
"""Variance of luma in [0, 1] at which chroma follows luma half as much as it could.

Chosen on colour clips (benchmarks/edges.py): less lets grain and texture into the colours, more
lets the colours bleed.
"""


def upsample(chroma: Tensor, guide: Tensor) -> Tensor:
    """Enlarge chroma so that its edges lie where those of luma do.

    chroma: (B, 2, h', w') float32 of any size; guide: (B, 1, h, w) uint8, the luma of the same
    pictures, full range -> (B, 2, h, w) float32, which may overshoot the range of `chroma` a
    little. On a CPU or a GPU; both tensors on one device.

    Where luma and chroma change together, the finer luma says where exactly. How they do is a
    straight line for each neighbourhood, found at the small size as in the fast guided filter (He
    and Sun, 2015, https://arxiv.org/abs/1505.00996). That filter keeps what lies on the line alone;
    here the line's slope is only used for the detail that the small chroma cannot have, and all
    of the chroma itself is kept: colours that luma knows nothing of neither fade nor leak.
    """
    height, width = guide.shape[-2:]
    small = min(height, chroma.shape[-2]), min(width, chroma.shape[-1])
    chroma = _reduced(chroma, small)
    luma = guide.float() / 255
    coarse = _reduced(luma, small)
    slope = _slope(coarse, chroma)
    fine = _enlarged(torch.cat([slope, chroma - slope * coarse], dim=1), (height, width))
    slope, offset = fine.chunk(2, dim=1)
    return slope.mul_(luma).add_(offset)


def _slope(luma: Tensor, chroma: Tensor) -> Tensor:
    """By how much chroma changes with luma around each pixel; of the shape of `chroma`."""
    mean_luma, mean_chroma = _mean(luma), _mean(chroma)
    variance = (_mean(luma * luma) - mean_luma * mean_luma).clamp(min=0)
    covariance = _mean(luma * chroma) - mean_luma * mean_chroma
    return _mean(covariance / (variance + FLAT))


def _mean(planes: Tensor) -> Tensor:
    """The mean of each pixel and its eight neighbours."""
    x = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    x = x[..., :-2] + x[..., 1:-1] + x[..., 2:]  # many times as fast as average pooling
    return (x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]) / 9


# On a CPU, OpenCV is ten times as fast as torch.


def _reduced(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), each pixel the mean of the area that it covers."""
    if planes.shape[-2:] == size:
        return planes
    if planes.device.type != "cpu":
        return F.interpolate(planes, size, mode="area")
    return _resized(planes, size, cv2.INTER_AREA)


def _enlarged(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), bicubic."""
    if planes.shape[-2:] == size:
        return planes
    if planes.device.type != "cpu":
        return F.interpolate(planes, size, mode="bicubic")
    return _resized(planes, size, cv2.INTER_CUBIC)


def _resized(planes: Tensor, size: tuple[int, int], how: int) -> Tensor:
    resized = torch.empty(*planes.shape[:2], *size)
    sources = planes.contiguous().flatten(0, 1).numpy()
    for source, target in zip(sources, resized.flatten(0, 1).numpy(), strict=True):
        cv2.resize(source, size[::-1], target, interpolation=how)
    return resized
