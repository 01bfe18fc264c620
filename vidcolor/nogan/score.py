"""Scores of a generator on photos and clips that it is not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.metrics.colorfulness import colorfulness
from vidcolor.metrics.frechet import frechet_distance
from vidcolor.metrics.lab import ab
from vidcolor.models.critic import CriticNetwork
from vidcolor.nogan.augment import Sample, plain, to_arrays
from vidcolor.nogan.clips import Clips
from vidcolor.nogan.critic_phase import critic_logits
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.draw import draw_curves, draw_grid
from vidcolor.nogan.features import LiteFeatures, shrunk_frechet
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.inflection import Score, best_of, cost
from vidcolor.nogan.norms import fold
from vidcolor.nogan.photos import PhotoSet, middles
from vidcolor.nogan.run import Run

CHUNK = 16
SHOWN = 8
SKIN = ((77, 127), (133, 173))
"""Cb and Cr of skin in 8-bit levels (Chai and Ngan 1999)."""
CURVES = (
    *("ab_gain", "colorfulness_gap", "ab_error", "skin_gap", "saturated_gap", "frechet"),
    "cdc_gap",
)
"""Figures that are drawn."""
SATURATED = 0.2
"""Pixels with chroma farther from gray than this count as saturated."""


class Scorer:
    """Scores a trainer on the middles of evenly chosen validation photos, and on clips."""

    def __init__(
        self,
        photos: PhotoSet,
        *,
        size: int,
        count: int,
        context: DistributedContext,
        clips: Clips | None = None,
        fixed: LiteFeatures | None = None,
    ) -> None:
        """fixed: features to compare in place of the critic's."""
        self.context, self.fixed = context, fixed
        self.crops = middles(photos, count, size)
        self.originals = to_arrays(torch.cat([sample.rgb() for sample in self._samples()]))
        self.gray = max(1e-9, float(np.mean([(ab(p) ** 2).mean() for p in self.originals])))
        """The squared error of gray pictures."""
        self.critic: CriticNetwork | None = None
        self.features = np.empty(0)
        self.clips = clips
        if clips is not None:
            self.change = clips.mean(lambda clip: self._sample(clip).rgb())

    def begin(self, critic: CriticNetwork, trainer: GeneratorTrainer) -> None:
        """Take the photos' features, by a copy of the critic if there are no fixed ones."""
        if self.fixed:
            photos = [self.fixed(trainer.photo_rgb(sample)) for sample in self._samples()]
            self.features = np.concatenate(photos)
            return
        self.critic = fold(critic).requires_grad_(False)
        self.features = self._features([trainer.photo(sample) for sample in self._samples()])

    def score(self, trainer: GeneratorTrainer) -> Score:
        """The figures that `inflection.cost` is made of."""
        colored = [trainer.show(sample) for sample in self._samples()]
        ours, photos = to_arrays(torch.cat(colored)), self.originals
        mine, theirs = (np.mean([colorfulness(255 * p) for p in side]) for side in (ours, photos))
        error = np.mean([((ab(a) - ab(b)) ** 2).mean() for a, b in zip(ours, photos, strict=True)])
        (skin, hue), (real_skin, real_hue) = _skin(ours), _skin(photos)
        saturated, real_saturated = _saturated(ours), _saturated(photos)
        result = {
            "colorfulness": mine,
            "colorfulness_gap": mine / max(theirs, 1e-6) - 1,
            "ab_error": error**0.5,
            "ab_gain": 10 * math.log10(self.gray / max(1e-9, error)),
            "skin": skin,
            "skin_gap": skin / max(real_skin, 1e-3) - 1,
            "skin_hue": hue - real_hue,
            "saturated": saturated,
            "saturated_gap": saturated / max(real_saturated, 1e-3) - 1,
        }
        if self.fixed:
            described = np.concatenate([self.fixed(picture) for picture in colored])
            result["frechet"] = shrunk_frechet(described, self.features)
        elif self.critic is not None:
            features = self._features([trainer.critic_input(picture) for picture in colored])
            result["frechet"] = frechet(features, self.features)
        if self.clips is not None:
            cdc = self.clips.mean(lambda clip: trainer.show(self._sample(clip)))
            result["cdc_gap"] = cdc / max(self.change, 1e-4) - 1
        values = torch.tensor(list(result.values()), dtype=torch.float32).to(self.context.device)
        self.context.average([values])  # so that all processes stop at the same step
        return dict(zip(result, [round(value, 5) for value in values.tolist()], strict=True))

    def draw(self, trainer: GeneratorTrainer, scores: list[Score], run: Run, phase: str) -> None:
        """A grid of gray | ours | original, and the curves of the scores with the best marked."""
        if self.context.rank:
            return
        step = int(scores[-1]["step"])
        grid = self.show(trainer, run.folder / "samples" / f"{phase}-{step:06}.png")
        run.log_picture(phase, step, grid)
        curves = {"cost": [(s["step"], cost(s, scores[0])) for s in scores]}
        for name in CURVES:
            if name in scores[0]:
                curves[name] = [(s["step"], s[name]) for s in scores]
        best = best_of(scores)
        mark = None if best is None else scores[best]["step"]
        draw_curves(run.folder / f"{phase}.png", curves, mark=mark)

    def show(self, trainer: GeneratorTrainer, path: Path) -> NDArray | None:
        """Write a grid of gray | ours | original; returns it, but only on the first process."""
        if self.context.rank:
            return None
        sample = plain(self.crops[:SHOWN].to(self.context.device))
        columns = [sample.luma.expand(-1, 3, -1, -1), trainer.show(sample), sample.rgb()]
        return draw_grid(path, [to_arrays(column) for column in columns])

    def _samples(self) -> Iterator[Sample]:
        for crops in self.crops.split(CHUNK):
            yield self._sample(crops)

    def _sample(self, crops: Tensor) -> Sample:
        return plain(crops.to(self.context.device))

    @torch.no_grad()
    def _features(self, pictures: list[Tensor]) -> NDArray:
        """The input of the critic's last layer, averaged over each picture: (N, C)."""
        assert self.critic is not None
        found: list[Tensor] = []
        hook = self.critic.head.register_forward_pre_hook(
            lambda _, inputs: found.append(inputs[0].float().mean((2, 3)).cpu())
        )
        for picture in pictures:
            critic_logits(self.critic, picture, self.context)
        hook.remove()
        return torch.cat(found).double().numpy()


def frechet(ours: NDArray, photos: NDArray) -> float:
    """Distance of the normal distributions that fit two sets of features (N, C), N at least 2.

    NaN where a feature is not finite.
    """
    if not (np.isfinite(ours).all() and np.isfinite(photos).all()):
        return float("nan")
    return frechet_distance(ours.mean(0), np.cov(ours.T), photos.mean(0), np.cov(photos.T))


def _skin(pictures: NDArray) -> tuple[float, float]:
    """Share of the pixels that could be skin, and their mean hue in degrees of the CbCr plane."""
    blue, red = _chroma(pictures)
    low, high = SKIN
    skin = (blue > low[0]) & (blue < low[1]) & (red > high[0]) & (red < high[1])
    hue = (
        np.degrees(np.arctan2(red[skin].mean() - 128, blue[skin].mean() - 128)) if skin.any() else 0
    )
    return float(skin.mean()), float(hue)


def _saturated(pictures: NDArray) -> float:
    """Share of the pixels that are saturated."""
    blue, red = _chroma(pictures)
    return float((np.hypot(blue - 128, red - 128) > 255 * SATURATED).mean())


def _chroma(pictures: NDArray) -> tuple[NDArray, NDArray]:
    """Cb and Cr in 8-bit levels."""
    red, green, blue = np.moveaxis(pictures, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return 128 + 255 * (blue - luma) / 1.772, 128 + 255 * (red - luma) / 1.402
