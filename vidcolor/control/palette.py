"""The palette of a picture, lent to the frames of a film."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from vidcolor.chroma.resize import resize_planes
from vidcolor.chroma.temporal.optical_flow import mean_around
from vidcolor.control.corrections import aspect_of
from vidcolor.control.matching import Memory, recall, remember, see
from vidcolor.control.piece import Part
from vidcolor.control.references import digest_of, read_color_still
from vidcolor.pipeline import Work
from vidcolor.resume.plan import PlannedPiece

LIKE_PIXELS = 100_000
"""Of the picture that is looked at, at most."""
FARTHEST = 0.12
"""Most that a color is changed by, in chroma: a face stays a face."""
STRENGTH = 0.8
"""Part of the way to the palette that is gone where things are most alike."""
UNLIKE = 0.35
"""Likeness at which half of that is gone."""
UNLIKE_RANGE = 0.08
"""Change in likeness that changes its odds e times."""
TEMPERATURE = 0.1
"""As of `recall`: more of the picture's places are averaged than of a frame of the same shot."""
EVEN = 7
"""Side, in cells, of the mean that is taken twice: a plain surface gets no patches."""


@dataclass(frozen=True)
class Lender:
    """Speaks about every piece of a film, as `film_control` asks."""

    picture: Path

    @classmethod
    def load(cls, picture: Path) -> "Lender":
        """Raises MediaError where it is no color picture."""
        read_color_still(picture)
        return cls(picture)

    def __call__(self, planned: PlannedPiece, work: Work) -> Part:
        return Palette(self.picture, aspect_of(work.film))


@dataclass(frozen=True)
class Palette(Part):
    """What looks like something in the picture takes over that thing's colors, within bounds."""

    picture: Path
    aspect: float
    """Width of the film's picture over its height."""

    @property
    def digest(self) -> str:
        return f"like {digest_of(self.picture)}"

    @cached_property
    def _memory(self) -> Memory:
        still = read_color_still(self.picture)
        luma, planes = still.luma, still.chroma.transpose(1, 2, 0)
        share = min(1.0, (LIKE_PIXELS / luma.size) ** 0.5)
        size = max(32, round(luma.shape[1] * share)), max(32, round(luma.shape[0] * share))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        chroma = cv2.resize(planes, size, interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
        return remember(see(luma), chroma, np.ones(luma.shape, np.float32))

    def adjust(self, chroma: Tensor, luma: Tensor) -> Tensor:
        frames = zip(chroma.float().cpu(), luma.cpu(), strict=True)
        return torch.stack([self._adjusted(one, own) for one, own in frames]).to(chroma)

    def _adjusted(self, chroma: Tensor, luma: Tensor) -> Tensor:
        """chroma (2, h', w'), luma (1, h, w) uint8 -> chroma of the same size."""
        across = (luma.numel() * self.aspect) ** 0.5
        size = max(32, round(across)), max(32, round(across / self.aspect))
        square = cv2.resize(luma[0].numpy(), size, interpolation=cv2.INTER_AREA)
        match = recall(see(square), [self._memory], [1.0], TEMPERATURE)
        cells = match.likeness.shape
        away = match.values - resize_planes(chroma[None], cells, "area")[0]
        away = away * (FARTHEST / away.norm(dim=0, keepdim=True).clamp(min=FARTHEST))
        away = away * (STRENGTH * torch.sigmoid((match.likeness - UNLIKE) / UNLIKE_RANGE))
        away = mean_around(mean_around(away[None], EVEN), EVEN)[0]
        return chroma + resize_planes(away[None].contiguous(), chroma.shape[1:], "bilinear")[0]
