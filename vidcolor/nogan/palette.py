"""The grid of chroma values that `lite` chooses from, and soft labels on it."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STEP = 0.035
"""Distance of neighboring bins; about the 10 units of the ab plane that Zhang et al. use."""

RADIUS = 14
"""Bins from the gray one to the edge of the square grid."""


class Palette:
    """The most frequent bins of a square grid of chroma values."""

    def __init__(self, centers: Tensor, frequency: Tensor):
        self.centers = centers
        """(Q, 2) chroma."""
        self.frequency = frequency
        """(Q,) share of the pixels, sums to 1."""
        side = 2 * RADIUS + 1
        # Grid cells that no photo uses lead to their nearest bin.
        axis = (torch.arange(side) - RADIUS) * STEP
        grid = torch.cartesian_prod(axis, axis)
        self.index = torch.cdist(grid, centers).argmin(1)

    @classmethod
    def of(cls, photos: Iterable[NDArray], bins: int, planes: "Planes | None" = None) -> "Palette":
        """The `bins` most frequent grid cells of (H, W, 3) uint8 luma, Cb, Cr pictures."""
        counts = count_cells(photos, planes)
        side = 2 * RADIUS + 1
        used = counts.topk(bins).indices.sort().values
        centers = torch.stack((used // side - RADIUS, used % side - RADIUS), 1) * STEP
        return cls(centers, _frequency(counts[used]))

    @classmethod
    def around(
        cls, photos: Iterable[NDArray], centers: Tensor, planes: "Planes | None" = None
    ) -> "Palette":
        """Given bins (Q, 2), with their frequency in photos."""
        cells = (centers / STEP).round().long() + RADIUS
        counts = count_cells(photos, planes)[cells[:, 0] * (2 * RADIUS + 1) + cells[:, 1]]
        return cls(centers, _frequency(counts))

    def soft_labels(self, chroma: Tensor) -> tuple[Tensor, Tensor]:
        """Split every pixel among the four bins around it, by bilinear weights.

        chroma: (B, 2, h, w) -> bins (B, 4, h, w) long and weights (B, 4, h, w) that sum to 1.
        """
        side = 2 * RADIUS + 1
        index = self.index.to(chroma.device)
        place = (chroma / STEP + RADIUS).clamp(0, side - 1.001)
        low = place.floor()
        part = place - low
        low = low.long()
        bins, weights = [], []
        for blue in (0, 1):
            for red in (0, 1):
                cell = (low[:, 0] + blue) * side + low[:, 1] + red
                bins.append(index[cell])
                weights.append(
                    (part[:, 0] if blue else 1 - part[:, 0])
                    * (part[:, 1] if red else 1 - part[:, 1])
                )
        return torch.stack(bins, 1), torch.stack(weights, 1)

    def class_weights(self, rebalance: float) -> Tensor:
        """(Q,) class weights with mean 1 over the pixels (Zhang et al. 2016, equation 4)."""
        weights = 1 / ((1 - rebalance) * self.frequency + rebalance / len(self.frequency))
        return weights / (weights * self.frequency).sum()


Planes = Callable[[NDArray], Tensor]
"""Some pixels (h, w, 3) uint8 luma, Cb, Cr -> their two color values (h, w, 2) on the grid."""


def chroma_planes(pixels: NDArray) -> Tensor:
    """Cb and Cr in [-0.5, 0.5]."""
    return torch.from_numpy(pixels[..., 1:].astype(np.float32)) / 255 - 128 / 255


def count_cells(photos: Iterable[NDArray], planes: Planes | None = None) -> Tensor:
    """How many pixels fall into each cell of the grid; (side * side,), the first value first.

    planes: the color values, by default `chroma_planes`.
    """
    planes = planes or chroma_planes
    side = 2 * RADIUS + 1
    counts = torch.zeros(side * side)
    for picture in photos:
        cells = (planes(picture[2::4, 2::4]) / STEP).round().long() + RADIUS
        counts += torch.bincount(
            (cells[..., 0] * side + cells[..., 1]).flatten(), minlength=side**2
        )
    return counts


def _frequency(counts: Tensor) -> Tensor:
    counts = counts.clamp(min=1)
    return counts / counts.sum()
