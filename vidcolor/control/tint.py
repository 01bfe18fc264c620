"""The color of the light: warmer or colder, more magenta or more green."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vidcolor.chroma.matrices import RED_AND_BLUE
from vidcolor.chroma.resize import resize_planes
from vidcolor.control.piece import Part
from vidcolor.errors import VidcolorError

RANGE = 100
"""Largest value of either setting."""

STRENGTH = 0.25
"""Share of its luma by which red and blue of a gray pixel change at the largest value."""


@dataclass(frozen=True, kw_only=True)
class Tint(Part):
    """Turns gray, and every color alike, by an amount that grows with luma, which stays."""

    temperature: float = 0.0
    """-100 (cold, blue) to 100 (warm, orange)."""
    magenta: float = 0.0
    """-100 (green) to 100 (magenta)."""

    def __post_init__(self) -> None:
        for name, value in (("temperature", self.temperature), ("magenta", self.magenta)):
            if not -RANGE <= value <= RANGE:
                raise VidcolorError(f"{name} {value:g} is out of range; use {-RANGE} to {RANGE}")

    @property
    def digest(self) -> str:
        return repr(self)

    def adjust(self, chroma: Tensor, luma: Tensor) -> Tensor:
        light = luma.to(chroma.device, torch.float32) / 255
        light = resize_planes(light, (chroma.shape[2], chroma.shape[3]), "area")
        blue, red = self.shift
        offset = torch.tensor([blue, red], device=chroma.device, dtype=chroma.dtype)
        return (chroma + light.to(chroma.dtype) * offset[:, None, None]).clamp(-0.5, 0.5)

    @property
    def shift(self) -> tuple[float, float]:
        """What is added to (Cb, Cr) of a pixel whose luma is 1."""
        of_red, of_blue = RED_AND_BLUE["bt601"]
        warm, magenta = (STRENGTH * value / RANGE for value in (self.temperature, self.magenta))
        return (magenta - warm) / (2 - 2 * of_blue), (magenta + warm) / (2 - 2 * of_red)
