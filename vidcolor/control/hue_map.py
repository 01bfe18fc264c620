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

SPREAD = 0.4
"""Share of their distances from one another that moved hues keep, so that a wide range of greens
does not become all hues from yellow to purple."""

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
    def gain(self) -> float:
        """On saturation."""
        return min(MOST_GAIN, math.hypot(*self.target) / math.hypot(*self.source))

    @property
    def target_angle(self) -> float:
        """Of the target's hue, in radians from Cb towards Cr."""
        return math.atan2(self.target[1], self.target[0])

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
        strength = chroma.norm(dim=1, keepdim=True)
        away = [_around(hue - move.angle) for move in self.moves]
        weights = [weight(angle) for angle in away]
        total = torch.stack(weights).sum(0).clamp(min=1)
        moved = chroma.clone()
        for move, angle, share in zip(self.moves, away, weights, strict=True):
            new_hue = move.target_angle + SPREAD * angle
            new = move.gain * strength * torch.cat([new_hue.cos(), new_hue.sin()], 1)
            # Straight from the old to the new color: no third hue at the edges of the range.
            moved += share / total * (new - chroma)
        return moved.clamp(-0.5, 0.5)


def _around(angle: Tensor) -> Tensor:
    """The same angle, in radians, between -pi and pi."""
    return torch.atan2(angle.sin(), angle.cos())


def weight(away: Tensor) -> Tensor:
    """How much of a pixel is moved, 0 to 1, whose hue is -pi to pi away."""
    degrees = torch.rad2deg(away).abs()
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
