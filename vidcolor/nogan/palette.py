"""The grid of chroma values that `lite` chooses from, and soft labels on it."""

import numpy as np
import torch
from torch import Tensor

STEP = 0.035
"""Distance of neighbouring bins; about the 10 units of the ab plane that Zhang et al. use."""

RADIUS = 14
"""Bins from the gray one to the edge of the square grid."""


class Palette:
    """The bins that photos really use, out of a square grid of chroma values."""

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
    def of(cls, pictures: list[np.ndarray], bins: int) -> "Palette":
        """The `bins` most frequent grid cells of (3, H, W) uint8 luma, Cb, Cr pictures."""
        side = 2 * RADIUS + 1
        counts = torch.zeros(side * side)
        for picture in pictures:
            chroma = torch.from_numpy(picture[1:, 2::4, 2::4].astype(np.float32)) / 255 - 128 / 255
            cells = (chroma / STEP).round().long() + RADIUS
            counts += torch.bincount((cells[0] * side + cells[1]).flatten(), minlength=side**2)
        used = counts.topk(bins).indices.sort().values
        centers = torch.stack((used // side - RADIUS, used % side - RADIUS), 1) * STEP
        frequency = counts[used].clamp(min=1)
        return cls(centers, frequency / frequency.sum())

    def soft_labels(self, chroma: Tensor) -> tuple[Tensor, Tensor]:
        """Split every pixel among the four bins around it, by bilinear weights.

        chroma: (B, 2, h, w) -> bins (B, 4, h, w) long and weights (B, 4, h, w) that sum to 1.
        """
        side = 2 * RADIUS + 1
        place = (chroma / STEP + RADIUS).clamp(0, side - 1.001)
        low = place.floor()
        part = place - low
        low = low.long()
        bins, weights = [], []
        for blue in (0, 1):
            for red in (0, 1):
                cell = (low[:, 0] + blue) * side + low[:, 1] + red
                bins.append(self.index[cell])
                weights.append(
                    (part[:, 0] if blue else 1 - part[:, 0])
                    * (part[:, 1] if red else 1 - part[:, 1])
                )
        return torch.stack(bins, 1), torch.stack(weights, 1)

    def rarity(self, rebalance: float) -> Tensor:
        """(Q,) class weights with mean 1 over the pixels (Zhang et al. 2016, equation 4)."""
        weights = 1 / ((1 - rebalance) * self.frequency + rebalance / len(self.frequency))
        return weights / (weights * self.frequency).sum()
