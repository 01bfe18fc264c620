"""A generator in training: its input, its loss, and its output in the form that a critic takes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from vidcolor.errors import RecipeError
from vidcolor.models import network as networks
from vidcolor.models.critic import CriticNetwork
from vidcolor.models.imagenet import denormalize, normalize
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.settings import Content, Generator, Stage

if TYPE_CHECKING:
    from vidcolor.nogan.run import Run

UNKNOWN_UPDATES = 10_000_000
"""Assumed for an average that came without the number of its updates: of a run of version 0.1, or
of a published generator. It is so large that the average has its full decay at once."""


@dataclass(frozen=True)
class Start:
    """The weights of --start."""

    path: Path
    state: dict[str, Tensor]


NetworkT = TypeVar("NetworkT", bound=networks.Generator)


class GeneratorTrainer(ABC, Generic[NetworkT]):
    """A generator in training, `network`, and the moving average of its weights, `ema`.

    A subclass is all that training knows of a network; `registry` lists them by the names that
    recipes use. What it has to define is abstract here, the rest has a default.
    """

    settings_class: ClassVar[type[Generator]] = Generator
    """What a recipe's table `generator` may hold."""
    size_multiple: ClassVar[int] = 32
    """Sides of the crops must be multiples of this."""

    network: NetworkT
    ema: NetworkT

    @classmethod
    def check(cls, settings: Any) -> None:
        """Raise RecipeError for settings that no network has."""
        del settings

    @classmethod
    def rate_counts(cls, settings: Any) -> tuple[int, ...]:
        """How many learning rates a stage may have, see `parameter_groups`."""
        del settings
        return (1,)

    @classmethod
    def check_stage(cls, settings: Any, stage: Stage) -> None:
        """Raise RecipeError for a stage that the network cannot be trained with."""
        if stage.size % cls.size_multiple:
            raise RecipeError(f"size = {stage.size} is not a multiple of {cls.size_multiple}")
        counts = cls.rate_counts(settings)
        if len(stage.rates) not in counts:
            words = " or ".join(map(str, counts))
            raise RecipeError(f"rates = {list(stage.rates)}: there must be {words} of them")

    @classmethod
    def groups(cls, network: NetworkT) -> list[list[nn.Module]]:
        """The layers from the input to the output, as a stage's `frozen` counts them; [] where
        none can be frozen."""
        del network
        return []

    @classmethod
    def group_count(cls, settings: Any) -> int:
        with torch.device("meta"):
            return len(cls.groups(cls.new_network(settings)))

    @classmethod
    @abstractmethod
    def new_network(cls, settings: Any) -> NetworkT:
        """An untrained network, also on the meta device."""

    @classmethod
    @abstractmethod
    def run_network(cls, network: NetworkT, luma: Tensor) -> Tensor:
        """The network's raw output for luma (B, 1, n, n) in [0, 1], without hints."""

    @classmethod
    @abstractmethod
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
        """The trainer as a run begins. The weights of `start` are loaded by the caller."""

    @classmethod
    def start_state(
        cls, network: networks.Generator, metadata: Mapping[str, str], path: Path
    ) -> dict[str, Tensor]:
        """The state that training can begin with, of a network that was loaded from `path`."""
        if not network.export_can_train:
            raise RecipeError(f"{path} is finished; give a checkpoint of its run to --start")
        del metadata
        return network.state_dict()

    def __init__(self, settings: Generator, content: Content, context: DistributedContext):
        self.settings, self.content, self.context = settings, content, context
        self.updates = 0
        """Updates of the average, in all phases together."""
        self.frozen: list[nn.Module] = []

    def set_network(self, network: NetworkT) -> None:
        """Move a new network to its device and start the average."""
        network.to(self.context.device).to(memory_format=torch.channels_last)
        self.network = self.ema = network
        if self.settings.ema:
            self.ema = copy.deepcopy(network).eval().requires_grad_(False)

    def begin_stage(self, stage: Stage) -> None:
        """Apply a stage's settings of losses and frozen weights."""
        self.network.requires_grad_(True)
        frozen = self.groups(self.network)[: stage.frozen]
        self.frozen = [module for group in frozen for module in group]
        for module in self.frozen:
            module.requires_grad_(False)

    def train_mode(self) -> None:
        """Prepare the network for a step; what is frozen stays in eval mode."""
        self.network.train()
        for module in self.frozen:
            module.eval()

    def hints(self, sample: Sample, random: torch.Generator) -> Tensor | None:
        """Color hints for a sample; None where the network takes none or the stage has none."""
        del sample, random

    def use_critic_features(self, critic: CriticNetwork) -> None:
        """Use the critic, as it is now, for the feature loss, where the recipe says so."""
        del critic

    @abstractmethod
    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: NetworkT | None = None
    ) -> Tensor:
        """The network's raw output for luma (B, 1, n, n) and hints as of `hints`."""

    @abstractmethod
    def loss(self, answer: Tensor, sample: Sample) -> Tensor:
        """The loss of an output against the photo."""

    @abstractmethod
    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        """An output as the critic's input, (B, 3, n, n), see `critic_input`."""

    @abstractmethod
    def photo(self, sample: Sample) -> Tensor:
        """The photo as the critic's input, with chroma at the network's resolution."""

    def critic_input(self, rgb: Tensor) -> Tensor:
        """RGB (B, 3, n, n) in [0, 1] as the critic's input: by default ImageNet-normalized RGB."""
        return normalize(rgb)

    def rgb(self, picture: Tensor, sample: Sample) -> Tensor:
        """The inverse of `critic_input`: RGB (B, 3, n, n) in [0, 1]."""
        del sample
        return denormalize(picture)

    @torch.no_grad()
    def show(self, sample: Sample) -> Tensor:
        """The averaged network's output for a sample: RGB (B, 3, n, n) in [0, 1]."""
        self.ema.eval()
        answer = self.generate(sample.input, network=self.ema)
        return self.rgb(self.picture(answer, sample).float(), sample)

    def photo_rgb(self, sample: Sample) -> Tensor:
        """The photo as `photo` has it: RGB (B, 3, n, n) in [0, 1]."""
        return self.rgb(self.photo(sample), sample)

    @torch.no_grad()
    def update_ema(self) -> None:
        """Move the averaged weights towards the present ones, less so the more updates there were.

        The count continues over phases: one that started again in the GAN phase would follow its
        first few steps, and scores of them would be compared with scores of a long average.
        """
        if self.ema is self.network:
            return
        decay = min(self.settings.ema, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        ours, now = self.ema.state_dict(), self.network.state_dict()
        for name, kept in ours.items():
            if kept.dtype.is_floating_point and not name.endswith(("._u", "._v")):
                kept.lerp_(now[name], 1 - decay)
            else:
                kept.copy_(now[name])

    def sync_buffers(self) -> None:
        """Give every process the mean of all processes' batch statistics."""
        networks = {id(network): network for network in (self.network, self.ema)}
        self.context.average(
            buffer
            for network in networks.values()
            for buffer in network.buffers()
            if buffer.dtype.is_floating_point
        )

    def parameter_groups(self, rates: tuple[float, ...]) -> list[tuple[float, list[nn.Parameter]]]:
        """The trainable parameters, each group with its highest learning rate."""
        return [(rates[-1], [p for p in self.network.parameters() if p.requires_grad])]

    def state_dict(self) -> dict[str, Any]:
        state = {"network": self.network.state_dict()}
        if self.ema is not self.network:
            state |= {"average": self.ema.state_dict(), "updates": self.updates}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        if self.ema is not self.network:
            self.ema.load_state_dict(state.get("average", state["network"]))
            self.updates = state.get("updates", UNKNOWN_UPDATES)

    def load_weights(self, state: dict[str, Tensor]) -> None:
        """Take the weights of another training."""
        self.load_state_dict({"network": state})

    @abstractmethod
    def export(self, path: Path, metadata: dict[str, str]) -> None:
        """Write the averaged network as safetensors that `load_generator` takes."""
