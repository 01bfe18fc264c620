"""A generator in training: its input, its loss, and its output in the form that a critic takes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.errors import RecipeError
from vidcolor.models.critic import Critic
from vidcolor.models.imagenet import denormalize, normalize
from vidcolor.models.lite import SCALE, Lite, LiteShape, ResidualLite
from vidcolor.models.lite_mobile import MobileLite, MobileShape
from vidcolor.models.unet import DEEP, WIDE, UNet, UNetShape
from vidcolor.nogan import recipe
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.export import finish, save_network
from vidcolor.nogan.hints import random_hints
from vidcolor.nogan.losses import CriticFeatureLoss, FeatureLoss, classification_loss
from vidcolor.nogan.mobilenet import load_mobilenet
from vidcolor.nogan.norms import fold, normalize_generator
from vidcolor.nogan.palette import Palette

UNKNOWN_UPDATES = 10_000_000
"""Assumed for an average that came without the number of its updates: of a run of version 0.1, or
of a published generator. It is so large that the average has its full decay at once."""


class GeneratorTrainer(ABC):
    """A generator in training, `network`, and the moving average of its weights, `ema`."""

    network: Lite | UNet
    ema: Lite | UNet

    def __init__(
        self, settings: recipe.Generator, content: recipe.Content, context: DistributedContext
    ):
        self.settings, self.content, self.context = settings, content, context
        self.updates = 0
        """Updates of the average, in all phases together."""

    def set_network(self, network: Lite | UNet) -> None:
        """Move a new network to its device and start the average."""
        network.to(self.context.device).to(memory_format=torch.channels_last)
        self.network = self.ema = network
        if self.settings.ema:
            self.ema = copy.deepcopy(network).eval().requires_grad_(False)

    def begin_stage(self, stage: recipe.Stage) -> None:
        """Apply a stage's settings of losses and frozen weights."""
        del stage

    def hints(self, sample: Sample, random: torch.Generator) -> Tensor | None:
        """Color hints for a sample; None where the network takes none or the stage has none."""
        del sample, random

    def use_critic_features(self, critic: Critic) -> None:
        """Use a finished critic for the feature loss, where the recipe says so."""
        del critic

    @abstractmethod
    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: Lite | UNet | None = None
    ) -> Tensor:
        """The network's raw output for luma (B, 1, n, n) and hints as of `hints`."""

    @abstractmethod
    def loss(self, answer: Tensor, sample: Sample) -> Tensor:
        """The loss of an output against the photo."""

    @abstractmethod
    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        """An output as the critic's input: (B, 3, n, n) ImageNet-normalized RGB."""

    @abstractmethod
    def photo(self, sample: Sample) -> Tensor:
        """The photo as the critic's input, with chroma at the network's resolution."""

    @torch.no_grad()
    def show(self, sample: Sample) -> Tensor:
        """The averaged network's output for a sample: RGB (B, 3, n, n) in [0, 1]."""
        self.ema.eval()
        return denormalize(
            self.picture(self.generate(sample.input, network=self.ema), sample).float()
        )

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


class LiteTrainer(GeneratorTrainer):
    """`lite`: classification of chroma, whose annealed mean the critic sees under the luma."""

    def __init__(
        self,
        settings: recipe.Generator,
        content: recipe.Content,
        context: DistributedContext,
        palette: Palette,
    ):
        super().__init__(settings, content, context)
        self.palette = palette
        network = new_lite(settings)
        if isinstance(network, MobileLite) and settings.encoder != "random":
            load_mobilenet(network, Path(settings.encoder))
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

    def begin_stage(self, stage: recipe.Stage) -> None:
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
                assert isinstance(network, MobileLite | ResidualLite)
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
        if not isinstance(self.network, MobileLite):
            raise RecipeError("two rates need a lite with a MobileNet; give one")
        encoder = self.network.encoder_parameters()
        inside = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in inside]
        return [(rates[0], encoder), (rates[1], rest)]

    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: Lite | UNet | None = None
    ) -> Tensor:
        logits = self.logits
        if network is not None and network is not self.network:
            assert isinstance(network, Lite)
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
        assert isinstance(finished, MobileLite | ResidualLite)
        undo = finish(finished, self.settings, self.class_weights.cpu())
        save_network(finished, path, metadata | undo)


class UNetTrainer(GeneratorTrainer):
    """DeOldify's networks: normalized gray in, normalized RGB out, L1 of pixels and features."""

    def __init__(
        self,
        settings: recipe.Generator,
        content: recipe.Content,
        context: DistributedContext,
        features: FeatureLoss | None,
        encoder: dict[str, Tensor] | None,
    ):
        super().__init__(settings, content, context)
        network = UNet(slim(DEEP if settings.architecture == "deep" else WIDE, settings.shrink))
        if encoder is not None:
            network.encoder.load_state_dict(encoder)
        normalize_generator(network)
        self.set_network(network)
        self.features: nn.Module | None = features.to(context.device) if features else None
        self.forward: Callable[[Tensor], Tensor] = network
        if context.compiled:
            self.forward = torch.compile(network)

    def load_weights(self, state: dict[str, Tensor]) -> None:
        if any(".parametrizations." in name for name in state):
            super().load_weights(state)
            return
        assert isinstance(self.network, UNet)
        network = UNet(self.network.shape)
        network.load_state_dict(state)
        normalize_generator(network)
        super().load_weights(network.state_dict())

    def begin_stage(self, stage: recipe.Stage) -> None:
        assert isinstance(self.network, UNet)
        for parameter in self.network.encoder.parameters():
            parameter.requires_grad_(parameter.ndim < 4 or not stage.freeze_encoder)

    def use_critic_features(self, critic: Critic) -> None:
        has_vgg = isinstance(self.features, FeatureLoss)
        if self.content.features == "vgg" and self.content.fallback == "critic" and not has_vgg:
            self.features = CriticFeatureLoss(critic)

    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: Lite | UNet | None = None
    ) -> Tensor:
        forward = self.forward if network is None or network is self.network else network
        gray = normalize(luma.expand(-1, 3, -1, -1)).contiguous(memory_format=torch.channels_last)
        with self.context.autocast():
            return forward(gray).float()

    def loss(self, answer: Tensor, sample: Sample) -> Tensor:
        photo = self.photo(sample)
        loss = self.content.pixels * F.l1_loss(answer, photo)
        if self.features is not None:
            with self.context.autocast():
                loss = loss + self.features(answer, photo)
        return loss

    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        return answer

    def photo(self, sample: Sample) -> Tensor:
        return normalize(matrices.merge(sample.luma, sample.chroma))

    def parameter_groups(self, rates: tuple[float, ...]) -> list[tuple[float, list[nn.Parameter]]]:
        if len(rates) == 1:
            return super().parameter_groups(rates)
        assert isinstance(self.network, UNet)
        encoder = self.network.encoder
        early = [encoder.conv1, encoder.bn1, encoder.layer1, encoder.layer2]
        late = [encoder.layer3, encoder.layer4]
        groups = [[p for part in parts for p in part.parameters()] for parts in (early, late)]
        inside = {id(p) for p in encoder.parameters()}
        groups.append([p for p in self.network.parameters() if id(p) not in inside])
        return [
            (rate, [p for p in group if p.requires_grad])
            for rate, group in zip(rates, groups, strict=True)
        ]

    def export(self, path: Path, metadata: dict[str, str]) -> None:
        save_network(fold(self.ema).cpu(), path, metadata)


def new_lite(settings: recipe.Generator) -> MobileLite | ResidualLite:
    """The recipe's shape of `lite`, untrained, with its norms."""
    if settings.shape == "residual":
        return ResidualLite(LiteShape(settings.widths, settings.decoder, settings.bins))
    shape = MobileShape(
        skips=settings.skips,
        decoder=settings.decoder,
        context=settings.context,
        bins=settings.bins,
    )
    return MobileLite(shape, norm=True)


FEWEST_CHANNELS = 16
"""oneDNN's backward pass of a 1x1 convolution with stride 2 writes past its memory for fewer input
channels (uxlfoundation/oneDNN issue 6035; seen with torch 2.15, AVX-512 and four threads)."""


def slim(shape: UNetShape, shrink: int) -> UNetShape:
    """The shape with all its numbers of channels divided, but never below FEWEST_CHANNELS."""

    def less(numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(max(FEWEST_CHANNELS, number // shrink) for number in numbers)

    if shrink == 1:
        return shape
    return replace(
        shape, widths=less(shape.widths), ups=less(shape.ups), decoder=less(shape.decoder)
    )
