"""SAGAN's way of coloring in training: a U-Net on VGG-19 that makes RGB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import RecipeError
from vidcolor.models.sagan import Sagan, SaganShape
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.export import save_network
from vidcolor.nogan.generator_trainer import GeneratorTrainer, Start
from vidcolor.nogan.imagenet import encoder_or_random
from vidcolor.nogan.norms import fold, initialize, normalize_generator
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.settings import Between, Content, Generator

if TYPE_CHECKING:
    from vidcolor.nogan.run import Run

Widths = tuple[Annotated[int, Between(8, 1024)], ...]


@dataclass(frozen=True, kw_only=True)
class SaganSettings(Generator):
    """The table `generator` of SAGAN.

    encoder: "imagenet", VGG-19's weights, which are downloaded; or "random".
    """

    encoder: Literal["imagenet", "random"] = "imagenet"  # pyright: ignore
    widths: Widths = (64, 128, 256, 512, 512)
    """Of the encoder; other ones than VGG-19's need encoder = "random"."""
    decoder: Widths = (256, 128, 64, 32)


class SaganTrainer(GeneratorTrainer[Sagan]):
    """RGB in [-1, 1], with the L1 of it as the content loss."""

    settings_class = SaganSettings

    @classmethod
    def check(cls, settings: SaganSettings) -> None:
        if len(settings.widths) != 5 or len(settings.decoder) != 4:
            raise RecipeError("widths must hold 5 numbers and decoder 4")
        if settings.encoder == "imagenet" and settings.widths != SaganShape().widths:
            raise RecipeError(f"widths = {list(settings.widths)} needs encoder = 'random'")

    @classmethod
    def rate_counts(cls, settings: SaganSettings) -> tuple[int, ...]:
        return (1, 2)

    def parameter_groups(self, rates: tuple[float, ...]) -> list[tuple[float, list[nn.Parameter]]]:
        if len(rates) == 1:
            return super().parameter_groups(rates)
        inside = {id(p) for p in self.network.encoder.parameters()}
        groups = [
            [p for p in self.network.parameters() if p.requires_grad and (id(p) in inside) == side]
            for side in (True, False)
        ]
        return list(zip(rates, groups, strict=True))

    @classmethod
    def groups(cls, network: Sagan) -> list[list[nn.Module]]:
        """One for each convolution of the encoder, and the decoder."""
        convolutions = [layer for layer in network.encoder if any(True for _ in layer.parameters())]
        decoder = [network.blocks, network.attention, network.head]
        return [*([layer] for layer in convolutions), decoder]

    @classmethod
    def new_network(cls, settings: SaganSettings) -> Sagan:
        return Sagan(SaganShape(widths=settings.widths, decoder=settings.decoder))

    @classmethod
    def run_network(cls, network: Sagan, luma: Tensor) -> Tensor:
        return network(luma)

    @classmethod
    def begin(
        cls,
        settings: SaganSettings,
        content: Content,
        context: DistributedContext,
        *,
        photos: PhotoSet,
        run: Run,
        start: Start | None,
    ) -> Self:
        trainer = cls(settings, content, context)
        network = cls.new_network(settings)
        initialize(network)
        if settings.encoder == "imagenet" and not start and (state := encoder_or_random("vgg19")):
            network.encoder.load_state_dict(state)
        normalize_generator(network)
        trainer.set_network(network)
        return trainer

    def load_weights(self, state: dict[str, Tensor]) -> None:
        if not any(".parametrizations." in name for name in state):
            network = Sagan(self.network.shape)
            network.load_state_dict(state)
            normalize_generator(network)
            state = network.state_dict()
        super().load_weights(state)

    def generate(
        self, luma: Tensor, *, hints: Tensor | None = None, network: Sagan | None = None
    ) -> Tensor:
        with self.context.autocast():
            return (network or self.network)(luma).float()

    def loss(self, answer: Tensor, sample: Sample) -> Tensor:
        return self.content.pixels * F.l1_loss(answer, self.photo(sample))

    def critic_input(self, rgb: Tensor) -> Tensor:
        return 2 * rgb - 1

    def rgb(self, picture: Tensor, sample: Sample) -> Tensor:
        return (picture + 1) / 2

    def picture(self, answer: Tensor, sample: Sample) -> Tensor:
        return answer

    def photo(self, sample: Sample) -> Tensor:
        return self.critic_input(sample.rgb())

    def export(self, path: Path, metadata: dict[str, str]) -> None:
        save_network(fold(self.ema).cpu(), path, metadata)
