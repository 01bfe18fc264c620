"""DeOldify's critic: scores how real each patch of a picture is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.layers import SelfAttention
from vidcolor.models.network import Network


@dataclass(frozen=True, kw_only=True)
class CriticShape:
    """The dimensions of a critic; the defaults are DeOldify's."""

    width: int = 256
    """Channels of the first convolution; they double in each block."""
    blocks: int = 3
    """Blocks that halve the size, after a first convolution that does so, too."""
    dropout: float = 0.15
    """Share of the channels that are dropped in training; half of it after the first layer."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> CriticShape:
        """Read the shape off a state dict of `Critic`. Raises KeyError for a tensor it lacks."""
        blocks = 1
        while f"blocks.{blocks}.conv.weight" in tensors:
            blocks += 1
        return cls(width=tensors["stem.weight"].shape[0], blocks=blocks)


class CriticNetwork(nn.Module):
    """Planes of a picture in, one logit per patch out; positive means real."""

    shape: Any
    """Its dimensions, the only argument of its class."""
    blocks: nn.ModuleList
    """Layers whose outputs are its features."""
    head: nn.Conv2d
    """The last layer; the mean of its input describes a picture."""


class Critic(CriticNetwork, Network):
    """Logits of "this is a real photo", one for each patch; positive means real.

    (B, 3, S, S) ImageNet-normalized RGB -> (B, (S/16 - 3)^2) for the default shape.
    """

    def __init__(self, shape: CriticShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or CriticShape()
        channels = shape.width
        self.stem = nn.Conv2d(3, channels, 4, stride=2, padding=1)
        self.dropout = nn.Dropout2d(shape.dropout / 2)
        self.blocks = nn.ModuleList()
        for i in range(shape.blocks):
            self.blocks.append(CriticBlock(channels, shape.dropout, attention=i == 0))
            channels *= 2
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.head = nn.Conv2d(channels, 1, 4, bias=False)

    @property
    def name(self) -> str:
        return "critic"

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        return "stem.weight" in tensors and "head.weight" in tensors

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(CriticShape.of(tensors))

    def forward(self, picture: Tensor) -> Tensor:
        x = self.dropout(_leaky(self.stem(picture)))
        for block in self.blocks:
            x = block(x)
        return self.head(_leaky(self.conv(x))).flatten(1)


class CriticBlock(nn.Module):
    """Half the size, twice the channels; (B, C, H, W) -> (B, 2C, H/2, W/2)."""

    def __init__(self, channels: int, dropout: float, *, attention: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout)
        self.down = nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1)
        self.attention = SelfAttention(2 * channels) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(_leaky(self.conv(x)))
        return self.attention(_leaky(self.down(x)))


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)
