"""Critics: what a recipe says about each, and how it is built."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from vidcolor.errors import RecipeError
from vidcolor.models.critic import Critic, CriticShape
from vidcolor.nogan import settings
from vidcolor.nogan.norms import normalize_critic
from vidcolor.nogan.settings import Between


class CriticKind(ABC):
    """All that training knows of a critic; `registry` lists them by name."""

    settings: ClassVar[type[settings.Critic]]
    """What a recipe's table `critic` may hold."""

    @abstractmethod
    def build(self, settings: Any) -> Critic:
        """An untrained critic, also on the meta device."""

    def normalize(self, critic: Critic, settings: Any) -> None:
        """Add the norms of training, which `norms.fold` removes."""
        del critic, settings

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

    def normalize(self, critic: Critic, settings: DeOldifyCriticSettings) -> None:
        normalize_critic(critic)

    def check_size(self, settings: DeOldifyCriticSettings, size: int) -> None:
        # Every block halves the size, as the layer before them does; 4 x 4 values must be left.
        smallest = 4 << (settings.blocks + 1)
        if size < smallest:
            raise RecipeError(
                f"size = {size} is too small for a critic with blocks = {settings.blocks}, "
                f"which needs {smallest}"
            )
