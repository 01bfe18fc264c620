"""Small chroma to full size, along the edges of full-size luma: tensors in, tensors out."""

from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma.resize import resize_planes

FLAT = 0.003
"""Variance of luma in [0, 1] at which chroma follows luma half as much as it could.

Chosen on color clips (benchmarks/edges.py): less lets grain and texture into the colors, more
lets the colors bleed.
"""


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
    small = min(size[0], chroma.shape[-2]), min(size[1], chroma.shape[-1])
    chroma = resize_planes(chroma, small, "area")
    luma = guide.float() / 255
    coarse = resize_planes(luma, small, "area")
    slope = _slope(coarse, chroma)
    offset = chroma - slope * coarse
    enlarged = (
        resize_planes(slope, size, "bicubic")
        .mul_(luma)
        .add_(resize_planes(offset, size, "bicubic"))
    )
    least, greatest = -_greatest(-chroma), _greatest(chroma)
    return enlarged.clamp_(
        resize_planes(least, size, "bilinear"), resize_planes(greatest, size, "bilinear")
    )


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
