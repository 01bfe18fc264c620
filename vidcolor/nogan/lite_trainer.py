"""`lite` in training: two shapes of one generator that classifies chroma."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.errors import RecipeError
from vidcolor.models import network as networks
from vidcolor.models.imagenet import normalize
from vidcolor.models.lite import SCALE, Lite, LiteShape, ResidualLite
from vidcolor.models.lite_mobile import MobileLite, MobileShape
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.export import finish, save_network, unfinish
from vidcolor.nogan.files import reading
from vidcolor.nogan.generator_trainer import GeneratorTrainer, Start
from vidcolor.nogan.hints import random_hints
from vidcolor.nogan.losses import classification_loss
from vidcolor.nogan.mobilenet import load_mobilenet
from vidcolor.nogan.palette import Palette
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.settings import Between, Content, Count, Generator, Share, Stage

if TYPE_CHECKING:
    from vidcolor.nogan.run import Run

COUNTED = 20_000
"""Photos that the frequency of colors is taken from, evenly chosen."""


@dataclass(frozen=True, kw_only=True)
class LiteSettings(Generator):
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
    bins: Annotated[int, Between(8, 400)] = 196
    temperature: Annotated[float, Between(0.05, 2)] = 0.7
    """Of the annealed mean; the lower, the nearer it is to the most probable color."""
    prior_correction: Share = 0.3
    """Share of the rebalancing that the finished network takes back."""
    chroma_gain: Annotated[float, Between(0.5, 2)] = 1.2
    """Factor on the chroma of the finished network; the mean of probable colors is too pale."""


class LiteTrainer(GeneratorTrainer[Lite]):
    """`lite`: classification of chroma, whose annealed mean the critic sees under the luma."""

    settings_class = LiteSettings

    settings: LiteSettings

    @classmethod
    def check(cls, settings: LiteSettings) -> None:
        SHAPES[settings.shape].check(settings)

    @classmethod
    def rate_counts(cls, settings: LiteSettings) -> tuple[int, ...]:
        return SHAPES[settings.shape].rate_counts

    @classmethod
    def new_network(cls, settings: LiteSettings) -> Lite:
        return SHAPES[settings.shape].build(settings)

    @classmethod
    def run_network(cls, network: Lite, luma: Tensor) -> Tensor:
        return network.logits(luma)

    @classmethod
    def begin(
        cls,
        settings: LiteSettings,
        content: Content,
        context: DistributedContext,
        *,
        photos: PhotoSet,
        run: Run,
        start: Start | None,
    ) -> Self:
        kept = run.folder / "palette.pt"
        if kept.exists():
            with reading(kept):
                palette = Palette(**torch.load(kept, weights_only=True))
        elif start and "palette" in start.state:
            centers = start.state["palette"]
            if len(centers) != settings.bins:
                raise RecipeError(
                    f"{start.path} has {len(centers)} bins and the recipe {settings.bins}; "
                    "make them the same"
                )
            palette = Palette.around(counted(photos), centers)
        else:
            palette = Palette.of(counted(photos), settings.bins)
        run.write(kept, {"centers": palette.centers, "frequency": palette.frequency})
        return cls(settings, content, context, palette)

    @classmethod
    def start_state(
        cls, network: networks.Generator, metadata: Mapping[str, str], path: Path
    ) -> dict[str, Tensor]:
        state = super().start_state(network, metadata, path)
        return unfinish(state, metadata) if "finish" in metadata else state

    def __init__(
        self,
        settings: LiteSettings,
        content: Content,
        context: DistributedContext,
        palette: Palette,
    ):
        super().__init__(settings, content, context)
        self.palette = palette
        network = self.new_network(settings)
        if settings.encoder != "random":
            SHAPES[settings.shape].load_encoder(network, Path(settings.encoder))
        network.palette.copy_(palette.centers)
        self.set_network(network)
        self.class_weights = torch.ones(0)
        self.smoothing = self.hinted = 0.0
        self.rebalance: float | None = None
        """What the network has learned under; None before the first stage, or unknown."""
        self.classify: Callable[..., Tensor] = classification_loss
        self.logits: Callable[..., Tensor] = network.logits
        if context.compiled:
            self.classify, self.logits = (
                torch.compile(self.classify),
                torch.compile(self.logits),
            )

    def begin_stage(self, stage: Stage) -> None:
        self.class_weights = self.palette.class_weights(stage.rebalance).to(self.context.device)
        self._correct_head(stage.rebalance)
        self.smoothing = stage.label_smoothing
        self.hinted = stage.hints

    @torch.no_grad()
    def _correct_head(self, rebalance: float) -> None:
        """Make the networks answer as if they had learned under the class weights of `rebalance`.

        A network learns probabilities times class weights, so the logarithm of the weights' ratio
        is the whole difference. Left to training, the bias would take thousands of steps.
        """
        if self.rebalance is not None and self.rebalance != rebalance:
            change = (
                self.palette.class_weights(rebalance) / self.palette.class_weights(self.rebalance)
            ).log()
            for network in {id(n): n for n in (self.network, self.ema)}.values():
                assert network.head.bias is not None
                network.head.bias.add_(change.to(network.head.bias))
        self.rebalance = rebalance

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"rebalance": self.rebalance}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.rebalance = state.get("rebalance")

    def hints(self, sample: Sample, random: torch.Generator) -> Tensor | None:
        if not self.hinted:
            return None
        chroma, luma = (F.avg_pool2d(plane, SCALE) for plane in (sample.chroma, sample.luma))
        return random_hints(chroma, luma, self.hinted, random)

    def parameter_groups(self, rates: tuple[float, ...]) -> list[tuple[float, list[nn.Parameter]]]:
        if len(rates) == 1:
            return super().parameter_groups(rates)
        encoder = self.network.encoder_parameters()
        inside = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in inside]
        return [(rates[0], encoder), (rates[1], rest)]

    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: Lite | None = None
    ) -> Tensor:
        logits = self.logits
        if network is not None and network is not self.network:
            logits = network.logits
        with self.context.autocast():
            return logits(luma.contiguous(memory_format=torch.channels_last), hints).float()

    def loss(self, answer: Tensor, sample: Sample) -> Tensor:
        chroma = F.avg_pool2d(sample.chroma, SCALE)
        bins, weights = self.palette.soft_labels(chroma)
        loss = self.classify(answer, bins, weights, self.class_weights, self.smoothing)
        if self.content.pixels:
            loss = loss + self.content.pixels * F.l1_loss(self.chroma(answer), chroma)
        return loss

    def chroma(self, logits: Tensor) -> Tensor:
        """(B, Q, h, w) -> (B, 2, h, w), as the exported network will make it."""
        corrected = (
            logits - self.settings.prior_correction * self.class_weights.log()[:, None, None]
        )
        probabilities = F.softmax(corrected / self.settings.temperature, dim=1)
        centers = self.settings.chroma_gain * self.palette.centers.to(probabilities)
        return F.conv2d(probabilities, centers.T[:, :, None, None])

    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        return self._under(sample.luma, self.chroma(answer))

    def photo(self, sample: Sample) -> Tensor:
        return self._under(sample.luma, F.avg_pool2d(sample.chroma, SCALE))

    @staticmethod
    def _under(luma: Tensor, chroma: Tensor) -> Tensor:
        chroma = F.interpolate(chroma, luma.shape[-2:], mode="bilinear")
        return normalize(matrices.merge(luma, chroma))

    def export(self, path: Path, metadata: dict[str, str]) -> None:
        finished = copy.deepcopy(self.ema).cpu()
        undo = finish(finished, self.settings, self.class_weights.cpu())
        save_network(finished, path, metadata | undo)


def counted(photos: PhotoSet) -> PhotoSet:
    """Enough of the photos to know how frequent each color is."""
    if len(photos) <= COUNTED:
        return photos
    return photos.subset(np.linspace(0, len(photos) - 1, COUNTED).astype(int).tolist())


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
