"""Random color hints for training: what a user might mark, and chroma warped by optical flow.

After Zhang et al., "Real-Time User-Guided Image Colorization with Learned Deep Priors" (2017).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

KINDS = ("points", "strokes", "regions", "warped")


def random_hints(chroma: Tensor, luma: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Hints for a share of the crops, each of a random kind; the others get none.

    chroma: (B, 2, h, w), the photos' at the network's output size; luma: (B, 1, h, w)
    -> (B, 3, h, w): chroma where the third plane is 1, zeros elsewhere.
    """
    kinds = (points, strokes, regions, warped)
    found = torch.zeros(len(chroma), 3, *chroma.shape[-2:], device=chroma.device)
    chosen = torch.rand(len(chroma), generator=random, device=random.device).tolist()
    for number, value in enumerate(chosen):
        if value < share:
            kind = kinds[min(int(value / share * len(kinds)), len(kinds) - 1)]
            found[number] = kind(chroma[number], luma[number], random)
    return found


def points(chroma: Tensor, luma: Tensor, random: torch.Generator) -> Tensor:
    """A few to a hundred squares of 1 to 3 cells, each of the mean color below it."""
    height, width = chroma.shape[-2:]
    count = 1 + int(100 ** _uniform(random))
    mask = torch.zeros(height, width, device=chroma.device)
    ours = torch.zeros_like(chroma)
    for _ in range(count):
        side = 1 + int(3 * _uniform(random))
        top = int(_uniform(random) * (height - side + 1))
        left = int(_uniform(random) * (width - side + 1))
        place = (slice(top, top + side), slice(left, left + side))
        ours[:, *place] = chroma[:, *place].mean((1, 2), keepdim=True)
        mask[place] = 1
    return _joined(ours, mask)


def strokes(chroma: Tensor, luma: Tensor, random: torch.Generator) -> Tensor:
    """Straight lines, each of the color at its beginning as long as the photo stays near to it."""
    height, width = chroma.shape[-2:]
    mask = torch.zeros(height, width, device=chroma.device)
    ours = torch.zeros_like(chroma)
    for _ in range(1 + int(6 * _uniform(random))):
        row, column = _uniform(random) * (height - 1), _uniform(random) * (width - 1)
        angle = torch.tensor(2 * torch.pi * _uniform(random))
        length = int(2 + _uniform(random) * height / 2)
        along = torch.arange(length)
        rows = (row + along * angle.sin()).round().long().clamp(0, height - 1)
        columns = (column + along * angle.cos()).round().long().clamp(0, width - 1)
        passed = chroma[:, rows, columns]
        color = passed[:, :1]
        near = ((passed - color).norm(dim=0) < 0.06).cumprod(0).bool()
        rows, columns = rows[near], columns[near]
        ours[:, rows, columns] = color
        mask[rows, columns] = 1
    return _joined(ours, mask)


def regions(chroma: Tensor, luma: Tensor, random: torch.Generator) -> Tensor:
    """All of the colors inside a rectangle, or of everything about as bright as a place in it."""
    height, width = chroma.shape[-2:]
    high, wide = (int(2 + _uniform(random) * (side - 2)) for side in (height, width))
    top = int(_uniform(random) * (height - high + 1))
    left = int(_uniform(random) * (width - wide + 1))
    mask = torch.zeros(height, width, device=chroma.device)
    mask[top : top + high, left : left + wide] = 1
    if _uniform(random) < 0.4:
        center = luma[0, top + high // 2, left + wide // 2]
        mask = mask * ((luma[0] - center).abs() < 0.08)
    return _joined(chroma, mask)


def warped(chroma: Tensor, luma: Tensor, random: torch.Generator) -> Tensor:
    """Chroma as motion brings it from a neighboring frame: displaced a little, with holes."""
    height, width = chroma.shape[-2:]
    drift = 3 / height * _noise(2, 3, (height, width), chroma, random)
    identity = torch.eye(2, 3, device=chroma.device)[None]
    grid = F.affine_grid(identity, [1, 1, height, width], align_corners=False)
    grid = grid + drift.permute(1, 2, 0)[None] * _uniform(random)
    moved = F.grid_sample(chroma[None], grid, padding_mode="border", align_corners=False)[0]
    holes = _noise(1, 6, (height, width), chroma, random)[0]
    mask = (holes < 2.5 * _uniform(random)).float()
    if _uniform(random) < 0.5:  # a cut-off side, as where the picture moves in
        edge = int(_uniform(random) * width / 3)
        mask[:, :edge] = 0
    return _joined(moved * (0.85 + 0.2 * _uniform(random)), mask)


def _joined(chroma: Tensor, mask: Tensor) -> Tensor:
    return torch.cat((chroma * mask, mask[None]))


def _noise(
    planes: int, cells: int, size: tuple[int, int], like: Tensor, random: torch.Generator
) -> Tensor:
    """(planes, *size) of smooth Gaussian noise."""
    coarse = torch.randn(1, planes, cells, cells, generator=random, device=random.device)
    return F.interpolate(coarse.to(like), size, mode="bicubic")[0]


def _uniform(random: torch.Generator) -> float:
    return float(torch.rand((), generator=random, device=random.device))
