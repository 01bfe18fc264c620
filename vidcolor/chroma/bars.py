"""Letterbox and pillarbox bars: black borders, which have no color."""

import torch
from torch import Tensor
from torch.nn import functional as F

BLACK = 24
"""Luma up to which a border counts as black; the limit of ffmpeg's `cropdetect`."""

SHARE = 0.98
"""Share of a row or column that has to be black: dust and subtitles may lie on a bar."""


def neutral_bars(chroma: Tensor, luma: Tensor) -> Tensor:
    """Set the chroma of black borders to 0.

    chroma: (B, 2, h', w') float; luma: (B, 1, h, w) uint8, full range, of the same pictures, on
    any device -> chroma of the same shape.
    """
    bars = find_bars(luma)
    if not bars.any():
        return chroma
    weight = 1 - F.interpolate(bars.to(chroma), chroma.shape[2:], mode="area")
    return chroma * weight


def find_bars(luma: Tensor) -> Tensor:
    """(B, 1, h, w) uint8 -> (B, 1, h, w) bool: the rows and columns from each side of the picture
    inward up to the first one that is not black.
    """
    black = (luma <= BLACK).float()
    rows = _border(black.mean(3, keepdim=True) >= SHARE, 2)
    # Beside letterbox bars, only the rows between them show where pillarbox bars end.
    inside = (~rows).float()
    share = (black * inside).sum(2, keepdim=True) / inside.sum(2, keepdim=True).clamp(min=1)
    return rows | _border(share >= SHARE, 3)


def _border(black: Tensor, axis: int) -> Tensor:
    """Those of the black lines that only black lines separate from either end."""
    lines = black.long()
    first = lines.cumprod(axis)
    last = lines.flip(axis).cumprod(axis).flip(axis)
    return torch.maximum(first, last).bool()
