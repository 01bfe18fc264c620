"""Networks that classify color in training: bins, class weights and the mean that is shown."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import RecipeError
from vidcolor.models import network as networks
from vidcolor.models.bins import BinGenerator
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.export import finish, save_network, unfinish
from vidcolor.nogan.files import reading
from vidcolor.nogan.generator_trainer import GeneratorTrainer, Start
from vidcolor.nogan.losses import classification_loss
from vidcolor.nogan.palette import Palette, Planes, chroma_planes
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.settings import Between, Content, Generator, Share, Stage

if TYPE_CHECKING:
    from vidcolor.nogan.run import Run

COUNTED = 20_000
"""Photos that the frequency of colors is taken from, evenly chosen."""


@dataclass(frozen=True, kw_only=True)
class BinsSettings(Generator):
    """What the table `generator` of every network that classifies color may hold."""

    bins: Annotated[int, Between(8, 400)] = 196
    temperature: Annotated[float, Between(0.05, 2)] = 0.7
    """Of the annealed mean; the lower, the nearer it is to the most probable color."""
    prior_correction: Share = 0.3
    """Share of the rebalancing that the finished network takes back."""
    chroma_gain: Annotated[float, Between(0.5, 2)] = 1.2
    """Factor on the chroma of the finished network; the mean of probable colors is too pale."""


BinsT = TypeVar("BinsT", bound=BinGenerator)


class BinsTrainer(GeneratorTrainer[BinsT]):
    """Classification of color, whose annealed mean the critic sees under the luma."""

    settings_class = BinsSettings
    unit: ClassVar[float] = 1.0
    """The network's color values, in those of the palette's grid."""

    settings: Any

    @classmethod
    def planes(cls) -> Planes:
        """The color values of photos on the palette's grid."""
        return chroma_planes

    @abstractmethod
    def target(self, sample: Sample) -> Tensor:
        """The same of a sample at the network's resolution: (B, 2, h, w)."""

    def load_encoder(self, network: BinsT) -> None:
        """Give a new network the initial weights that the settings name."""

    @classmethod
    def run_network(cls, network: BinsT, luma: Tensor) -> Tensor:
        return network.logits(luma)

    @classmethod
    def begin(
        cls,
        settings: Any,
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
            centers = start.state["palette"] / cls.unit
            if len(centers) != settings.bins:
                raise RecipeError(
                    f"{start.path} has {len(centers)} bins and the recipe {settings.bins}; "
                    "make them the same"
                )
            palette = Palette.around(counted(photos), centers, cls.planes())
        else:
            palette = Palette.of(counted(photos), settings.bins, cls.planes())
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
        settings: BinsSettings,
        content: Content,
        context: DistributedContext,
        palette: Palette,
    ):
        super().__init__(settings, content, context)
        self.palette = palette
        network = self.new_network(settings)
        self.load_encoder(network)
        network.palette.copy_(palette.centers * self.unit)
        self.set_network(network)
        self.class_weights = torch.ones(0)
        self.smoothing = 0.0
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
        super().begin_stage(stage)
        self.class_weights = self.palette.class_weights(stage.rebalance).to(self.context.device)
        self._correct_head(stage.rebalance)
        self.smoothing = stage.label_smoothing

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

    def parameter_groups(self, rates: tuple[float, ...]) -> list[tuple[float, list[nn.Parameter]]]:
        if len(rates) == 1:
            return super().parameter_groups(rates)
        encoder = self.network.encoder_parameters()
        inside = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in inside]
        return [
            (rate, [p for p in group if p.requires_grad])
            for rate, group in zip(rates, (encoder, rest), strict=True)
        ]

    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: BinsT | None = None
    ) -> Tensor:
        logits = self.logits
        if network is not None and network is not self.network:
            logits = network.logits
        with self.context.autocast():
            return logits(luma.contiguous(memory_format=torch.channels_last), hints).float()

    def loss(self, answer: Tensor, sample: Sample) -> Tensor:
        chroma = self.target(sample)
        bins, weights = self.palette.soft_labels(chroma)
        loss = self.classify(answer, bins, weights, self.class_weights, self.smoothing)
        if self.content.pixels:
            loss = loss + self.content.pixels * F.l1_loss(self.chroma(answer), chroma)
        return loss

    def chroma(self, logits: Tensor) -> Tensor:
        """(B, Q, h, w) -> (B, 2, h, w) on the grid, as the exported network will make it."""
        corrected = (
            logits - self.settings.prior_correction * self.class_weights.log()[:, None, None]
        )
        probabilities = F.softmax(corrected / self.settings.temperature, dim=1)
        centers = self.settings.chroma_gain * self.palette.centers.to(probabilities)
        return F.conv2d(probabilities, centers.T[:, :, None, None])

    def export(self, path: Path, metadata: dict[str, str]) -> None:
        finished = copy.deepcopy(self.ema).cpu()
        undo = finish(finished, self.settings, self.class_weights.cpu())
        save_network(finished, path, metadata | undo)


def counted(photos: PhotoSet) -> PhotoSet:
    """Enough of the photos to know how frequent each color is."""
    if len(photos) <= COUNTED:
        return photos
    return photos.subset(np.linspace(0, len(photos) - 1, COUNTED).astype(int).tolist())
