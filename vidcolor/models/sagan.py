"""A U-Net on VGG-19 with self-attention, gray in and RGB out.

The encoder is the convolutional part of VGG-19 (Simonyan and Zisserman 2014); the attention is that
of SAGAN (Zhang et al. 2018, arXiv:1805.08318) with keys and values pooled, as in its authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.imagenet import normalize
from vidcolor.models.network import RgbGenerator

CONVS = (2, 2, 4, 4, 4)
"""Of VGG-19, before each of its max-pools."""

QUERIES = 4096
"""Positions whose attention is computed at once outside of training, to bound the memory."""


@dataclass(frozen=True, kw_only=True)
class SaganShape:
    """The dimensions of a `Sagan`."""

    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of the encoder at /1, /2, /4, /8 and /16; the defaults are VGG-19's."""
    decoder: tuple[int, ...] = (256, 128, 64, 32)
    """Channels of the decoder at /8, /4, /2 and /1."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> SaganShape:
        """The dimensions of a state dict of `Sagan`. Raises KeyError for a tensor it lacks."""
        return cls(
            widths=tuple(tensors[f"encoder.{last - 1}.weight"].shape[0] for last in _skips()),
            decoder=tuple(tensors[f"blocks.{n}.conv.weight"].shape[0] for n in range(4)),
        )


class Sagan(RgbGenerator):
    """(B, 1, S, S) luma in [0, 1] -> (B, 3, S, S) RGB in [-1, 1]; S is a multiple of 16."""

    def __init__(self, shape: SaganShape = SaganShape()) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = _vgg19(shape.widths)
        *skips, channels = shape.widths
        self.blocks = nn.ModuleList()
        for skip, out in zip(reversed(skips), shape.decoder, strict=True):
            self.blocks.append(_Block(channels + skip, out))
            channels = out
        self.attention = PooledAttention(channels)
        self.head = nn.Conv2d(channels, 3, 3, padding=1)

    @property
    def name(self) -> str:
        return "sagan"

    @property
    def live_channels(self) -> int:
        return 4 * self.shape.widths[0]

    @property
    def default_render_factor(self) -> int:
        return 8

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        return "encoder.34.weight" in tensors and "attention.gamma" in tensors

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(SaganShape.of(tensors))

    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        """Always the square."""
        return render_size, render_size

    def memory_per_frame(self, render_size: int) -> int:
        positions = render_size**2
        attention = min(positions, QUERIES) * positions // 4
        return super().memory_per_frame(render_size) + 2 * attention * self.dtype.itemsize

    def cpu_batch(self, render_size: int) -> int:
        return 1 if render_size > 192 else 4

    def rgb(self, luma: Tensor) -> Tensor:
        return (self(luma).float() + 1) / 2

    def forward(self, luma: Tensor) -> Tensor:
        x = normalize(luma.expand(-1, 3, -1, -1)).to(self.dtype, memory_format=torch.channels_last)
        skips = []
        for number, layer in enumerate(self.encoder):
            x = layer(x)
            if number in _skips():
                skips.append(x)
        x = skips.pop()
        for block in self.blocks:
            x = block(x, skips.pop())
        x = self.head(self.attention(x))
        # The hyperbolic tangent of infinity would hide an overflow; 0 * inf is NaN.
        return torch.tanh(x) + 0 * x


class _Block(nn.Module):
    """Twice the size, joined with the encoder's map of that size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.relu(self.norm(self.conv(torch.cat([x, skip], 1))))


class PooledAttention(nn.Module):
    """Every position looks at the 2x2-pooled ones; (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.out = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        key, value = (F.max_pool2d(part(x), 2).flatten(2) for part in (self.key, self.value))
        queries = self.query(x).flatten(2).transpose(1, 2)
        chunks = [queries] if self.training else queries.split(QUERIES, 1)
        seen = [torch.softmax(chunk @ key, 2) @ value.transpose(1, 2) for chunk in chunks]
        found = torch.cat(seen, 1).transpose(1, 2)
        return x + self.gamma * self.out(found.reshape(*found.shape[:2], *x.shape[2:]))


def _vgg19(widths: tuple[int, ...]) -> nn.Sequential:
    """The layers up to the fifth max-pool, which is left out; numbered as torchvision's are."""
    layers: list[nn.Module] = []
    channels = 3
    for number, (convs, width) in enumerate(zip(CONVS, widths, strict=True)):
        if number:
            layers.append(nn.MaxPool2d(2))
        for _ in range(convs):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


def _skips() -> list[int]:
    """The layers before each max-pool: 3, 8, 17, 26 and 35."""
    ends, layers = [], -1
    for convs in CONVS:
        layers += 2 * convs
        ends.append(layers)
        layers += 1
    return ends
