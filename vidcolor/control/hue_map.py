"""A range of hues becomes another one: `blue -> brown`."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcolor.control.color_words import chroma_of, has_hue
from vidcolor.control.piece import Part
from vidcolor.errors import VidcolorError

WHOLE = 25.0
"""Degrees to either side of a hue that are moved whole."""

EDGE = 55.0
"""Degrees from which on nothing is moved."""

MOST_GAIN = 3.0
"""Largest factor on saturation."""


@dataclass(frozen=True)
class Move:
    """Colors about the hue of one color turn to that of another."""

    words: str
    """As it was written."""
    source: tuple[float, float]
    """(Cb, Cr)"""
    target: tuple[float, float]

    @property
    def matrix(self) -> list[list[float]]:
        """Turns and scales (Cb, Cr), so that `source` becomes `target`."""
        gain = min(MOST_GAIN, math.hypot(*self.target) / math.hypot(*self.source))
        turn = math.atan2(self.target[1], self.target[0]) - self.angle
        cos, sin = gain * math.cos(turn), gain * math.sin(turn)
        return [[cos, -sin], [sin, cos]]

    @property
    def angle(self) -> float:
        """Of the source's hue, in radians from Cb towards Cr."""
        return math.atan2(self.source[1], self.source[0])


@dataclass(frozen=True)
class HueMap(Part):
    """Moves ranges of hues, softly at their edges; luma stays."""

    moves: tuple[Move, ...]

    @property
    def digest(self) -> str:
        return repr(self)

    def adjust(self, chroma: Tensor, luma: Tensor) -> Tensor:
        hue = torch.atan2(chroma[:, 1:], chroma[:, :1])
        weights = [weight(hue - move.angle) for move in self.moves]
        total = torch.stack(weights).sum(0).clamp(min=1)
        moved = chroma.clone()
        for move, share in zip(self.moves, weights, strict=True):
            matrix = torch.tensor(move.matrix, device=chroma.device, dtype=chroma.dtype)
            new = torch.einsum("mn,bnhw->bmhw", matrix, chroma)
            # Straight from the old to the new color: no third hue at the edges of the range.
            moved += share / total * (new - chroma)
        return moved.clamp(-0.5, 0.5)


def weight(away: Tensor) -> Tensor:
    """How much of a pixel is moved, 0 to 1, whose hue is so many radians away."""
    degrees = torch.rad2deg(torch.atan2(away.sin(), away.cos())).abs()
    inner = ((EDGE - degrees) / (EDGE - WHOLE)).clamp(0, 1)
    return inner * inner * (3 - 2 * inner)


def move_of(words: str) -> Move:
    """`blue -> brown` or `#4060a0 -> #705030`. Raises VidcolorError for anything else."""
    parts = words.split("->")
    if len(parts) != 2:
        raise VidcolorError(f"{words!r} is no move of a color; write it as 'blue -> brown'")
    source, target = (part.strip() for part in parts)
    chroma_of(target)
    chroma_of(source)
    if not has_hue(source):
        raise VidcolorError(
            f"{words!r} starts from a gray, which has no hue; name a color before the arrow"
        )
    return Move(" -> ".join((source, target)), chroma_of(source), chroma_of(target))
