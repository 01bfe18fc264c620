"""Networks that make a and b of CIELAB from L, in training: as numbers, or as bins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.errors import RecipeError
from vidcolor.models.lab import ab_to_rgb, rgb_to_lab
from vidcolor.models.lite import SCALE
from vidcolor.models.pix2pix import AB_RANGE, Pix2Pix, Pix2PixShape, scaled_lightness
from vidcolor.models.resnet_bins import ResNetBins, ResNetBinsShape
from vidcolor.nogan.augment import Sample, plain
from vidcolor.nogan.bins_trainer import BinsSettings, BinsTrainer
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.export import save_network
from vidcolor.nogan.generator_trainer import GeneratorTrainer, NetworkT, Start
from vidcolor.nogan.imagenet import encoder_or_random
from vidcolor.nogan.norms import initialize
from vidcolor.nogan.palette import STEP, Planes
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.settings import Between, Content, Generator, Stage

if TYPE_CHECKING:
    from vidcolor.nogan.run import Run

BIN_WIDTH = 10.0
"""Of a and b, as in Zhang et al. 2016."""


class LabPictures(GeneratorTrainer[NetworkT]):
    """The critic sees L, a and b, all scaled to [-1, 1]; L is that of the gray photo."""

    def critic_input(self, rgb: Tensor) -> Tensor:
        return lab_picture(matrices.rgb_to_luma(rgb), photo_ab(rgb))

    def photo(self, sample: Sample) -> Tensor:
        return lab_picture(sample.luma, photo_ab(sample.rgb()))

    def rgb(self, picture: Tensor, sample: Sample) -> Tensor:
        return ab_to_rgb(sample.luma, AB_RANGE * picture[:, 1:])


def lab_picture(luma: Tensor, ab: Tensor) -> Tensor:
    """Luma (B, 1, n, n) in [0, 1], a and b (B, 2, n, n) -> (B, 3, n, n) in [-1, 1]."""
    return torch.cat([scaled_lightness(luma), ab / AB_RANGE], 1)


def photo_ab(rgb: Tensor) -> Tensor:
    """The a and b (B, 2, n, n) of RGB (B, 3, n, n) in [0, 1]."""
    return rgb_to_lab(rgb)[:, 1:]


@dataclass(frozen=True, kw_only=True)
class Pix2PixSettings(Generator):
    """The table `generator` of pix2pix."""

    width: Annotated[int, Between(4, 256)] = 64
    """Channels of the first convolution."""
    depth: Annotated[int, Between(4, 9)] = 8
    """Convolutions of stride 2; sizes are multiples of 2^depth."""
    dropout: Annotated[float, Between(0, 0.9)] = 0.5


class Pix2PixTrainer(LabPictures[Pix2Pix]):
    """L1 of a and b, scaled to [-1, 1]."""

    settings_class = Pix2PixSettings

    @classmethod
    def check(cls, settings: Pix2PixSettings) -> None:
        if settings.encoder != "random":
            raise RecipeError(f"encoder = {settings.encoder!r}: pix2pix has none; leave it out")

    @classmethod
    def check_stage(cls, settings: Pix2PixSettings, stage: Stage) -> None:
        super().check_stage(settings, stage)
        step = 1 << settings.depth
        if stage.size % step:
            raise RecipeError(
                f"size = {stage.size} is not a multiple of {step}, which a network with depth = "
                f"{settings.depth} needs"
            )

    @classmethod
    def groups(cls, network: Pix2Pix) -> list[list[nn.Module]]:
        return [[layer] for layer in (*network.downs, *network.ups)]

    @classmethod
    def new_network(cls, settings: Pix2PixSettings) -> Pix2Pix:
        width, depth, dropout = settings.width, settings.depth, settings.dropout
        return Pix2Pix(Pix2PixShape(width=width, depth=depth, dropout=dropout))

    @classmethod
    def run_network(cls, network: Pix2Pix, luma: Tensor) -> Tensor:
        return network(luma)

    @classmethod
    def begin(
        cls,
        settings: Pix2PixSettings,
        content: Content,
        context: DistributedContext,
        *,
        photos: PhotoSet,
        run: Run,
        start: Start | None,
    ) -> Self:
        trainer = cls(settings, content, context)
        network = cls.new_network(settings)
        initialize(network, spread=0.02)
        trainer.set_network(network)
        return trainer

    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: Pix2Pix | None = None
    ) -> Tensor:
        lightness = scaled_lightness(luma).contiguous(memory_format=torch.channels_last)
        with self.context.autocast():
            return (network or self.network)(lightness).float()

    def loss(self, answer: Tensor, sample: Sample) -> Tensor:
        return self.content.pixels * F.l1_loss(answer, photo_ab(sample.rgb()) / AB_RANGE)

    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        return lab_picture(sample.luma, AB_RANGE * answer)

    def export(self, path: Path, metadata: dict[str, str]) -> None:
        save_network(self.ema, path, metadata)


@dataclass(frozen=True, kw_only=True)
class ResNetBinsSettings(BinsSettings):
    """The table `generator` of a ResNet that classifies a and b.

    encoder: "imagenet", ResNet-34's weights, which are downloaded; or "random".
    """

    encoder: Literal["imagenet", "random"] = "imagenet"  # pyright: ignore
    bins: Annotated[int, Between(8, 400)] = 313
    widths: tuple[Annotated[int, Between(8, 1024)], ...] = (64, 128, 256, 512)
    """Of the encoder's stages; other ones than ResNet-34's need encoder = "random"."""
    decoder: tuple[Annotated[int, Between(8, 1024)], ...] = (192, 128, 96)


class ResNetBinsTrainer(LabPictures[ResNetBins], BinsTrainer[ResNetBins]):
    """Bins of a and b, 10 units wide."""

    settings_class = ResNetBinsSettings
    unit = BIN_WIDTH / STEP

    @classmethod
    def check(cls, settings: ResNetBinsSettings) -> None:
        if len(settings.widths) != 4 or len(settings.decoder) != 3:
            raise RecipeError("widths must hold 4 numbers and decoder 3")
        usual = settings.widths == ResNetBinsShape().widths
        if settings.encoder == "imagenet" and not usual:
            raise RecipeError(f"widths = {list(settings.widths)} needs encoder = 'random'")

    @classmethod
    def rate_counts(cls, settings: ResNetBinsSettings) -> tuple[int, ...]:
        return (1, 2)

    @classmethod
    def groups(cls, network: ResNetBins) -> list[list[nn.Module]]:
        encoder = network.encoder
        stages = [encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4]
        return [[encoder.conv1, encoder.bn1], *([s] for s in stages), [network.ups, network.head]]

    @classmethod
    def new_network(cls, settings: ResNetBinsSettings) -> ResNetBins:
        shape = ResNetBinsShape(
            widths=settings.widths, decoder=settings.decoder, bins=settings.bins
        )
        return ResNetBins(shape)

    @classmethod
    def planes(cls) -> Planes:
        return ab_planes

    def load_encoder(self, network: ResNetBins) -> None:
        if self.settings.encoder == "imagenet" and (state := encoder_or_random("resnet34")):
            network.encoder.load_state_dict(state)

    def target(self, sample: Sample) -> Tensor:
        return F.avg_pool2d(photo_ab(sample.rgb()), SCALE) / self.unit

    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        ab = self.unit * self.chroma(answer)
        return lab_picture(sample.luma, F.interpolate(ab, sample.luma.shape[-2:], mode="bilinear"))

    def photo(self, sample: Sample) -> Tensor:
        ab = self.unit * self.target(sample)
        return lab_picture(sample.luma, F.interpolate(ab, sample.luma.shape[-2:], mode="bilinear"))


def ab_planes(pixels: NDArray) -> Tensor:
    """The a and b of photos on the palette's grid."""
    sample = plain(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
    return photo_ab(sample.rgb())[0].permute(1, 2, 0) * (STEP / BIN_WIDTH)
