"""Figures of pretraining on validation photos, measured every so many steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.chroma import matrices
from vidcolor.metrics.colorfulness import colorfulness
from vidcolor.nogan.augment import Sample, plain
from vidcolor.nogan.photos import PhotoSet, center

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
        losses, vivid, wanted, error, gray = [], [], [], [], []
        for sample in self._samples():
            answer = trainer.generate(sample.input, network=trainer.ema)
            losses.append(trainer.loss(answer, sample).item())
            for ours, photo in zip(_rgb(trainer.show(sample)), _original(sample), strict=True):
                vivid.append(colorfulness(255 * ours))
                wanted.append(colorfulness(255 * photo))
                error.append(((_ab(ours) - _ab(photo)) ** 2).mean())
                gray.append((_ab(photo) ** 2).mean())
        found = {
            "validation_loss": float(np.mean(losses)),
            "ab_gain": 10 * math.log10(np.mean(gray) / max(1e-9, np.mean(error))),
            "colorfulness": float(np.mean(vivid)),
            "colorfulness_gap": float(1 - np.mean(vivid) / max(1e-6, np.mean(wanted))),
        }
        return {name: round(value, 4) for name, value in found.items()}

    def _samples(self) -> Iterator[Sample]:
        if self.crops is None:
            chosen = np.linspace(0, len(self.photos) - 1, min(self.count, len(self.photos)))
            crops = [center(self.photos[int(number)], self.size) for number in chosen]
            self.crops = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
        for crops in self.crops.split(CHUNK):
            yield plain(crops.to(self.device))


def _original(sample: Sample) -> NDArray:
    return _rgb(matrices.merge(sample.luma, sample.chroma))


def _rgb(pictures: Tensor) -> NDArray:
    """(B, 3, H, W) -> (B, H, W, 3) float32."""
    return pictures.permute(0, 2, 3, 1).contiguous().float().cpu().numpy()


def _ab(rgb: NDArray) -> NDArray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[..., 1:]
