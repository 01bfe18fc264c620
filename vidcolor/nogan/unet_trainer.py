"""DeOldify's networks in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.errors import RecipeError
from vidcolor.models.critic import CriticNetwork
from vidcolor.models.imagenet import normalize
from vidcolor.models.layers import ShuffleUp
from vidcolor.models.unet import DEEP, WIDE, UNet, UNetShape
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.export import save_network
from vidcolor.nogan.generator_trainer import GeneratorTrainer, Start
from vidcolor.nogan.imagenet import encoder_weights, feature_loss
from vidcolor.nogan.losses import CriticFeatureLoss, FeatureLoss
from vidcolor.nogan.norms import fold, initialize, normalize_generator
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.settings import Between, Content, Generator, Stage

if TYPE_CHECKING:
    from vidcolor.nogan.run import Run


@dataclass(frozen=True, kw_only=True)
class UNetSettings(Generator):
    """The table `generator` of deep and wide.

    encoder: "imagenet", a ResNet that is downloaded, as DeOldify's.
    """

    shrink: Annotated[int, Between(1, 32)] = 1
    """Divides every number of channels, for trials."""


class UNetTrainer(GeneratorTrainer[UNet]):
    """DeOldify's networks: normalized gray in, normalized RGB out, L1 of pixels and features."""

    settings_class = UNetSettings
    shape: ClassVar[UNetShape]
    resnet: ClassVar[str]
    """The encoder, as `imagenet.FILES` has it."""

    settings: UNetSettings

    @classmethod
    def check(cls, settings: UNetSettings) -> None:
        if settings.encoder not in ("imagenet", "random"):
            raise RecipeError(f"encoder = {settings.encoder!r} is not 'imagenet' or 'random'")
        if settings.encoder == "imagenet" and settings.shrink != 1:
            raise RecipeError("encoder = 'imagenet' needs shrink = 1; or set it to 'random'")

    @classmethod
    def rate_counts(cls, settings: UNetSettings) -> tuple[int, ...]:
        return (1, 3)

    @classmethod
    def new_network(cls, settings: UNetSettings) -> UNet:
        return UNet(slim(cls.shape, settings.shrink))

    @classmethod
    def run_network(cls, network: UNet, luma: Tensor) -> Tensor:
        return network(luma.expand(-1, 3, -1, -1))

    @classmethod
    def begin(
        cls,
        settings: UNetSettings,
        content: Content,
        context: DistributedContext,
        *,
        photos: PhotoSet,
        run: Run,
        start: Start | None,
    ) -> Self:
        random = start is not None or settings.encoder == "random"
        encoder = None if random else encoder_weights(cls.resnet)
        return cls(settings, content, context, feature_loss(content), encoder)

    def __init__(
        self,
        settings: UNetSettings,
        content: Content,
        context: DistributedContext,
        features: FeatureLoss | None,
        encoder: dict[str, Tensor] | None,
    ):
        super().__init__(settings, content, context)
        network = self.new_network(settings)
        draw_weights(network)
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
        network = UNet(self.network.shape)
        network.load_state_dict(state)
        normalize_generator(network)
        super().load_weights(network.state_dict())

    def begin_stage(self, stage: Stage) -> None:
        super().begin_stage(stage)
        if stage.freeze_encoder:
            for parameter in self.network.encoder.parameters():
                if parameter.ndim == 4:
                    parameter.requires_grad_(False)

    @classmethod
    def groups(cls, network: UNet) -> list[list[nn.Module]]:
        encoder = network.encoder
        return [
            [encoder.conv1, encoder.bn1, encoder.layer1],
            [encoder.layer2],
            [encoder.layer3],
            [encoder.layer4],
            [network.norm, network.middle, *network.blocks, network.up],
            [network.residual, network.head],
        ]

    def use_critic_features(self, critic: CriticNetwork) -> None:
        has_vgg = isinstance(self.features, FeatureLoss)
        if self.content.features == "vgg" and self.content.fallback == "critic" and not has_vgg:
            self.features = CriticFeatureLoss(fold(critic))

    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: UNet | None = None
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


class DeepTrainer(UNetTrainer):
    """ResNet-34 with a deep decoder."""

    shape, resnet = DEEP, "resnet34"


class WideTrainer(UNetTrainer):
    """ResNet-101 with a wide decoder."""

    shape, resnet = WIDE, "resnet101"


NORM_BIAS = 1e-3
"""Of new norms outside the encoder, as in fastai."""


@torch.no_grad()
def draw_weights(network: UNet) -> None:
    """DeOldify's initial weights: Kaiming's, with ICNR in front of each pixel shuffle.

    Aitken et al., "Checkerboard artifact free sub-pixel convolution" (2017): the four channels that
    become neighboring pixels begin alike.
    """
    initialize(network, bias=NORM_BIAS)
    for norm in network.encoder.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.zeros_(norm.bias)
    for module in network.modules():
        if isinstance(module, ShuffleUp):
            weight = module.conv.weight
            quarter = nn.init.kaiming_normal_(torch.empty_like(weight[::4]))
            weight.copy_(quarter.repeat_interleave(4, 0))


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
