"""`lite` in training: two shapes of one generator that classifies chroma."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.errors import RecipeError
from vidcolor.models.imagenet import normalize
from vidcolor.models.lite import SCALE, Lite, LiteShape, ResidualLite
from vidcolor.models.lite_mobile import MobileLite, MobileShape
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.bins_trainer import BinsSettings, BinsTrainer
from vidcolor.nogan.hints import random_hints
from vidcolor.nogan.mobilenet import load_mobilenet
from vidcolor.nogan.settings import Between, Count, Stage

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class LiteSettings(BinsSettings):
    """The table `generator` of a lite.

    encoder: of the MobileNet shape the path of its safetensors.
    """

    shape: Literal["residual", "mobilenet-v1"] = "residual"
    """See `models.lite.LiteShape` and `models.lite_mobile.MobileShape`."""
    widths: tuple[Count, ...] = (48, 104, 192, 288)
    """Of the residual shape."""
    decoder: tuple[Count, ...] = (144, 96, 48)
    skips: tuple[Annotated[int, Between(0, 1024)], ...] = (128, 96, 48)
    context: Count = 256
    """Of the MobileNet shape."""


class LiteTrainer(BinsTrainer[Lite]):
    """`lite`: its bins are of BT.601 chroma."""

    settings_class = LiteSettings

    hinted = 0.0

    @classmethod
    def check(cls, settings: LiteSettings) -> None:
        SHAPES[settings.shape].check(settings)

    @classmethod
    def rate_counts(cls, settings: LiteSettings) -> tuple[int, ...]:
        return SHAPES[settings.shape].rate_counts

    @classmethod
    def new_network(cls, settings: LiteSettings) -> Lite:
        return SHAPES[settings.shape].build(settings)

    def load_encoder(self, network: Lite) -> None:
        if self.settings.encoder != "random":
            SHAPES[self.settings.shape].load_encoder(network, Path(self.settings.encoder))

    def begin_stage(self, stage: Stage) -> None:
        super().begin_stage(stage)
        self.hinted = stage.hints

    def hints(self, sample: Sample, random: torch.Generator) -> Tensor | None:
        if not self.hinted:
            return None
        chroma, luma = (F.avg_pool2d(plane, SCALE) for plane in (sample.chroma, sample.luma))
        return random_hints(chroma, luma, self.hinted, random)

    def target(self, sample: Sample) -> Tensor:
        return F.avg_pool2d(sample.chroma, SCALE)

    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        return self._under(sample.luma, self.chroma(answer))

    def photo(self, sample: Sample) -> Tensor:
        return self._under(sample.luma, F.avg_pool2d(sample.chroma, SCALE))

    @staticmethod
    def _under(luma: Tensor, chroma: Tensor) -> Tensor:
        chroma = F.interpolate(chroma, luma.shape[-2:], mode="bilinear")
        return normalize(matrices.merge(luma, chroma))


@dataclass(frozen=True)
class Shape:
    """One of the shapes that a recipe can choose."""

    rate_counts: tuple[int, ...]
    check: Callable[[LiteSettings], None]
    build: Callable[[LiteSettings], Lite]
    load_encoder: Callable[..., None]


def _check_residual(settings: LiteSettings) -> None:
    if settings.encoder != "random":
        raise RecipeError("encoder needs shape = 'mobilenet-v1', or set it to 'random'")
    if not 2 <= len(settings.widths) <= 4:
        raise RecipeError(f"widths = {list(settings.widths)} must hold 2 to 4 numbers")
    if len(settings.decoder) != len(settings.widths) - 1:
        raise RecipeError(
            f"decoder = {list(settings.decoder)} must hold one number less than widths"
        )


def _new_residual(settings: LiteSettings) -> Lite:
    return ResidualLite(LiteShape(settings.widths, settings.decoder, settings.bins))


def _no_encoder(network: Lite, path: Path) -> None:
    raise RecipeError(f"encoder = {str(path)!r} needs shape = 'mobilenet-v1'")


def _check_mobile(settings: LiteSettings) -> None:
    for name, numbers in (("decoder", settings.decoder), ("skips", settings.skips)):
        if len(numbers) != 3:
            raise RecipeError(f"{name} = {list(numbers)} must hold 3 numbers")


def _new_mobile(settings: LiteSettings) -> Lite:
    shape = MobileShape(
        skips=settings.skips,
        decoder=settings.decoder,
        context=settings.context,
        bins=settings.bins,
    )
    return MobileLite(shape, norm=True)


SHAPES = {
    "residual": Shape((1,), _check_residual, _new_residual, _no_encoder),
    "mobilenet-v1": Shape((1, 2), _check_mobile, _new_mobile, load_mobilenet),
}
