"""Critics: what a recipe says about each, and how it is built."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from vidcolor.errors import RecipeError
from vidcolor.models.critic import Critic, CriticNetwork, CriticShape
from vidcolor.models.patch_critic import PatchCritic, PatchCriticShape
from vidcolor.nogan import settings
from vidcolor.nogan.norms import initialize, normalize_critic
from vidcolor.nogan.settings import Between


class CriticKind(ABC):
    """All that training knows of a critic; `registry` lists them by name."""

    settings: ClassVar[type[settings.Critic]]
    """What a recipe's table `critic` may hold."""

    @abstractmethod
    def norm(self, settings: Any) -> Literal["spectral", "batch", "none"]:
        """How its layers are normed."""

    @abstractmethod
    def build(self, settings: Any) -> CriticNetwork:
        """An untrained critic, also on the meta device."""

    def prepare(self, critic: CriticNetwork, settings: Any) -> None:
        """Draw the weights, and add spectral norm, which `norms.fold` removes.

        With batch norm they are drawn as pix2pix's are, else by Kaiming's rule: without norms,
        pix2pix's would let hardly anything through.
        """
        initialize(critic, spread=0.02 if self.norm(settings) == "batch" else None)
        if self.norm(settings) == "spectral":
            normalize_critic(critic)

    @abstractmethod
    def check_size(self, settings: Any, size: int) -> None:
        """Raise RecipeError for pictures that are too small."""


@dataclass(frozen=True, kw_only=True)
class DeOldifyCriticSettings(settings.Critic):
    """The table `critic` of DeOldify's."""

    width: Annotated[int, Between(8, 512)] = 256
    blocks: Annotated[int, Between(1, 4)] = 3
    dropout: Annotated[float, Between(0, 0.9)] = 0.15


class DeOldifyCritic(CriticKind):
    """Self-attention, dropout, and spectral norm everywhere."""

    settings = DeOldifyCriticSettings

    def build(self, settings: DeOldifyCriticSettings) -> Critic:
        width, blocks, dropout = settings.width, settings.blocks, settings.dropout
        return Critic(CriticShape(width=width, blocks=blocks, dropout=dropout))

    def norm(self, settings: DeOldifyCriticSettings) -> Literal["spectral"]:
        return "spectral"

    def check_size(self, settings: DeOldifyCriticSettings, size: int) -> None:
        # Every block halves the size, as the layer before them does; 4 x 4 values must be left.
        smallest = 4 << (settings.blocks + 1)
        if size < smallest:
            raise RecipeError(
                f"size = {size} is too small for a critic with blocks = {settings.blocks}, "
                f"which needs {smallest}"
            )


@dataclass(frozen=True, kw_only=True)
class PatchCriticSettings(settings.Critic):
    """The table `critic` of PatchGAN and its variants."""

    width: Annotated[int, Between(8, 512)] = 64
    layers: Annotated[int, Between(1, 6)] = 3
    """Convolutions of stride 2."""
    norm: Literal["batch", "spectral", "none"] = "batch"
    attention: bool = False
    """Self-attention before the last layer."""
    border: Annotated[int, Between(0, 128)] = 0
    """Outermost pixels that it does not see."""


class PatchCriticKind(CriticKind):
    """PatchGAN (Isola et al. 2017), also with self-attention or without norms."""

    settings = PatchCriticSettings

    def norm(self, settings: PatchCriticSettings) -> Literal["spectral", "batch", "none"]:
        return settings.norm

    def build(self, settings: PatchCriticSettings) -> PatchCritic:
        return PatchCritic(
            PatchCriticShape(
                width=settings.width,
                layers=settings.layers,
                batch_norm=settings.norm == "batch",
                attention=settings.attention,
                border=settings.border,
            )
        )

    def check_size(self, settings: PatchCriticSettings, size: int) -> None:
        inside = size - 2 * settings.border
        if inside <= 0:
            raise RecipeError(f"border = {settings.border} leaves nothing of size = {size}")
        smallest = 3 << settings.layers  # the last two layers take off one value each
        if inside < smallest:
            raise RecipeError(
                f"size = {size} with border = {settings.border} is too small for a critic with "
                f"layers = {settings.layers}, which needs {smallest + 2 * settings.border}"
            )
