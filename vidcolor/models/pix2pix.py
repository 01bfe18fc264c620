"""pix2pix's U-Net (Isola et al. 2017, arXiv:1611.07004) in CIELAB: L in, a and b out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.lab import ab_to_chroma, luma_to_lightness
from vidcolor.models.network import ChromaGenerator

AB_RANGE = 110.0
"""The network's outputs of -1 and 1, in units of a and b."""

DROPPED = 3
"""The decoder's first layers have dropout."""


@dataclass(frozen=True, kw_only=True)
class Pix2PixShape:
    """The dimensions of a `Pix2Pix`; the defaults are the paper's."""

    width: int = 64
    """Channels of the first convolution; they double in each layer, up to eight times as many."""
    depth: int = 8
    """Convolutions of stride 2; the side of the input is a multiple of 2^depth."""
    dropout: float = 0.5

    @property
    def widths(self) -> list[int]:
        """Of the encoder's convolutions."""
        return [self.width * min(8, 1 << number) for number in range(self.depth)]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Pix2PixShape:
        """The dimensions of a state dict of `Pix2Pix`. Raises KeyError for a tensor it lacks."""
        depth = 1
        while f"downs.{depth}.conv.weight" in tensors:
            depth += 1
        return cls(width=tensors["downs.0.conv.weight"].shape[0], depth=depth)


class Pix2Pix(ChromaGenerator):
    """(B, 1, S, S) L -> (B, 2, S, S) a and b; both are scaled to [-1, 1]."""

    def __init__(self, shape: Pix2PixShape = Pix2PixShape()) -> None:
        super().__init__()
        self.shape = shape
        widths, last = shape.widths, shape.depth - 1
        self.downs = nn.ModuleList(
            _Down(inputs, outputs, norm=0 < number < last)
            for number, (inputs, outputs) in enumerate(zip((1, *widths), widths, strict=False))
        )
        outputs = [*reversed(widths[:-1]), 2]
        inputs = [widths[-1], *(2 * width for width in outputs)]
        self.ups = nn.ModuleList(
            _Up(channels, out, norm=number < last, dropout=shape.dropout * (number < DROPPED))
            for number, (channels, out) in enumerate(zip(inputs, outputs, strict=False))
        )

    @property
    def name(self) -> str:
        return "pix2pix"

    @property
    def live_channels(self) -> int:
        return 4 * self.shape.width

    @property
    def default_render_factor(self) -> int:
        return 16

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        return "downs.0.conv.weight" in tensors and "ups.0.conv.weight" in tensors

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(Pix2PixShape.of(tensors))

    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        """The square, at the nearest multiple of 2^depth."""
        step = 1 << self.shape.depth
        side = max(1, round(render_size / step)) * step
        return side, side

    def chroma(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        lightness = scaled_lightness(luma).to(self.dtype)
        return ab_to_chroma(luma, AB_RANGE * self(lightness).float())

    def forward(self, lightness: Tensor) -> Tensor:
        x, skips = lightness, []
        for number, down in enumerate(self.downs):
            x = down(F.leaky_relu(x, 0.2) if number else x)
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = up(F.relu(x))
            if skips:
                x = torch.cat([x, skips.pop()], 1)
        # The hyperbolic tangent of infinity would hide an overflow; 0 * inf is NaN.
        return torch.tanh(x) + 0 * x


class _Down(nn.Module):
    """Half the size: a 4x4 convolution, and batch norm."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class _Up(nn.Module):
    """Twice the size: a transposed 4x4 convolution, batch norm and dropout."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool, dropout: float) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.norm(self.conv(x)))


def scaled_lightness(luma: Tensor) -> Tensor:
    """Luma (B, 1, h, w) in [0, 1] -> L in [-1, 1]."""
    return luma_to_lightness(luma) / 50 - 1
