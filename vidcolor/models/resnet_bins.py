"""A ResNet encoder and a light decoder that classifies a and b of CIELAB, as Zhang et al. 2016."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.bins import BinGenerator
from vidcolor.models.imagenet import normalize
from vidcolor.models.lab import ab_to_chroma
from vidcolor.models.lite import SCALE, Up
from vidcolor.models.unet import Encoder, UNetShape

STRIDE = 32


@dataclass(frozen=True, kw_only=True)
class ResNetBinsShape:
    """The dimensions of a `ResNetBins`; the defaults of the encoder are ResNet-34's."""

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    decoder: tuple[int, ...] = (192, 128, 96)
    """Channels at /16, /8 and /4."""
    bins: int = 313

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> ResNetBinsShape:
        """The dimensions of a state dict. Raises KeyError for a tensor it lacks."""

        def depth(stage: int) -> int:
            number = 1
            while f"encoder.layer{stage}.{number}.conv1.weight" in tensors:
                number += 1
            return number

        return cls(
            depths=tuple(depth(stage) for stage in range(1, 5)),
            widths=tuple(
                tensors[f"encoder.layer{stage}.0.conv1.weight"].shape[0] for stage in range(1, 5)
            ),
            decoder=tuple(tensors[f"ups.{n}.fuse.0.weight"].shape[0] for n in range(3)),
            bins=tensors["palette"].shape[0],
        )


class ResNetBins(BinGenerator):
    """Its bins are of a and b, in the units of CIELAB."""

    def __init__(self, shape: ResNetBinsShape = ResNetBinsShape()) -> None:
        super().__init__(shape.bins)
        self.shape = shape
        self.encoder = Encoder(
            UNetShape(
                encoder="basic",
                depths=shape.depths,
                widths=shape.widths,
                ups=(),
                decoder=(),
                convs=1,
            )
        )
        inputs = (shape.widths[3], *shape.decoder)
        self.ups = nn.ModuleList(
            Up(channels, skip, out)
            for channels, skip, out in zip(
                inputs, reversed(shape.widths[:3]), shape.decoder, strict=False
            )
        )
        self.head = nn.Conv2d(shape.decoder[-1], shape.bins, 1)

    @property
    def name(self) -> str:
        return "resnet-bins"

    @property
    def live_channels(self) -> int:
        return 100

    @property
    def default_render_factor(self) -> int:
        return 16

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        return "encoder.conv1.weight" in tensors and "palette" in tensors

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(ResNetBinsShape.of(tensors))

    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        """The square, at the nearest multiple of 32."""
        side = max(1, round(render_size / STRIDE)) * STRIDE
        return side, side

    def encoder_parameters(self) -> list[nn.Parameter]:
        return list(self.encoder.parameters())

    def logits(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        if hints is not None:
            raise ValueError("this network takes no hints")
        gray = normalize(luma.float().expand(-1, 3, -1, -1))
        _, *skips, x = self.encoder(gray.to(self.dtype, memory_format=torch.channels_last))
        for up in self.ups:
            x = up(x, skips.pop())
        return self.head(x)

    def chroma(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        ab = self.annealed_mean(self.logits(luma, hints))
        return ab_to_chroma(luma, F.interpolate(ab, scale_factor=float(SCALE), mode="bilinear"))
