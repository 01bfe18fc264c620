"""Figures of pretraining on validation photos, measured every so many steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vidcolor.metrics.colorfulness import colorfulness
from vidcolor.metrics.lab import ab
from vidcolor.nogan.augment import Sample, plain, to_arrays
from vidcolor.nogan.photos import PhotoSet, middles

if TYPE_CHECKING:
    from vidcolor.nogan.generator_trainer import GeneratorTrainer

CHUNK = 32


class Validation:
    """Middles of evenly chosen photos, with nothing done to them."""

    def __init__(self, photos: PhotoSet, size: int, count: int, device: torch.device):
        self.photos, self.size, self.count, self.device = photos, size, count, device
        self.crops: Tensor | None = None

    @torch.no_grad()
    def score(self, trainer: GeneratorTrainer) -> dict[str, float]:
        """Of the averaged weights: loss, gain of ab PSNR over gray in dB, colorfulness and its gap.

        The gain is of the squared error's mean over all photos.
        """
        trainer.ema.eval()
        losses, mine, theirs, error, gray = [], [], [], [], []
        for sample in self._samples():
            answer = trainer.generate(sample.input, network=trainer.ema)
            losses.append(trainer.loss(answer, sample).item())
            pictures = (to_arrays(rgb) for rgb in (trainer.show(sample), sample.rgb()))
            for ours, photo in zip(*pictures, strict=True):
                mine.append(colorfulness(255 * ours))
                theirs.append(colorfulness(255 * photo))
                error.append(((ab(ours) - ab(photo)) ** 2).mean())
                gray.append((ab(photo) ** 2).mean())
        found = {
            "validation_loss": float(np.mean(losses)),
            "ab_gain": 10 * math.log10(np.mean(gray) / max(1e-9, np.mean(error))),
            "colorfulness": float(np.mean(mine)),
            "colorfulness_gap": float(1 - np.mean(mine) / max(1e-6, np.mean(theirs))),
        }
        return {name: round(value, 4) for name, value in found.items()}

    def _samples(self) -> Iterator[Sample]:
        if self.crops is None:
            self.crops = middles(self.photos, self.count, self.size)
        for crops in self.crops.split(CHUNK):
            yield plain(crops.to(self.device))
