"""DeOldify's generators: a ResNet encoder and a U-Net decoder with self-attention."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.finish import fold_norms, fold_pair, rounded_up, widen
from vidcolor.models.imagenet import denormalize, normalize
from vidcolor.models.layers import ConvReluNorm, SelfAttention, ShuffleUp
from vidcolor.models.network import RgbGenerator
from vidcolor.models.resnet import BasicBlock, Bottleneck


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """The dimensions of a U-Net generator; decoder blocks run coarse to fine."""

    encoder: Literal["basic", "bottleneck"]
    """Kind of residual block in the encoder."""
    depths: tuple[int, ...]
    """Residual blocks in each of the encoder's four stages."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Inner channels of each stage; the first is also the stem's. Bottlenecks have 4 times as many
    output channels."""
    ups: tuple[int, ...]
    """Channels after the pixel shuffle of each of the four decoder blocks."""
    decoder: tuple[int, ...]
    """Output channels of each decoder block."""
    convs: int
    """3x3 convolutions in each decoder block."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> UNetShape:
        """The dimensions of a state dict of `UNet`. Raises KeyError for a tensor it lacks."""

        def count(template: str) -> int:
            number = 1
            while template.format(number) in tensors:
                number += 1
            return number

        def channels(name: str) -> int:
            return tensors[name].shape[0]

        convs = count("blocks.0.convs.{}.conv.weight")
        return cls(
            encoder="bottleneck" if "encoder.layer1.0.conv3.weight" in tensors else "basic",
            depths=tuple(count(f"encoder.layer{i}.{{}}.conv1.weight") for i in range(1, 5)),
            widths=tuple(channels(f"encoder.layer{i}.0.conv1.weight") for i in range(1, 5)),
            ups=tuple(channels(f"blocks.{i}.up.conv.weight") // 4 for i in range(4)),
            decoder=tuple(channels(f"blocks.{i}.convs.{convs - 1}.conv.weight") for i in range(4)),
            convs=convs,
        )


DEEP = UNetShape(
    encoder="basic",
    depths=(3, 4, 6, 3),
    ups=(256, 384, 384, 336),
    decoder=(768, 768, 672, 300),
    convs=2,
)
"""ResNet-34 with a deep decoder: the artistic model."""

WIDE = UNetShape(
    encoder="bottleneck",
    depths=(3, 4, 23, 3),
    ups=(512, 512, 512, 256),
    decoder=(512, 512, 512, 256),
    convs=1,
)
"""ResNet-101 with a wide decoder: the stable and the video model."""


class UNet(RgbGenerator):
    """Gray in, color out, both as ImageNet-normalized RGB.

    (B, 3, S, S) -> (B, 3, S, S) in (-3, 3); S is a multiple of 16 (other sides too, if multiples).
    """

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape)
        *skips, channels = self.encoder.channels
        self.norm = nn.BatchNorm2d(channels)
        self.middle = nn.Sequential(
            ConvReluNorm(channels, 2 * channels), ConvReluNorm(2 * channels, channels)
        )
        self.blocks = nn.ModuleList()
        decoder = zip(reversed(skips), shape.ups, shape.decoder, strict=True)
        for i, (skip, up, out) in enumerate(decoder):
            self.blocks.append(DecoderBlock(channels, skip, up, out, shape.convs, attention=i == 1))
            channels = out
        self.up = ShuffleUp(channels, channels, norm=False)
        channels += 3
        self.unused = 0
        """Channels of zeros beside those of the last layers, see `for_tensor_cores`."""
        self.residual = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.head = nn.Conv2d(channels, 3, 1)

    @property
    def name(self) -> str:
        """The architecture's name: "deep" or "wide"."""
        return "deep" if self.shape.encoder == "basic" else "wide"

    @property
    def live_channels(self) -> int:
        return 1600 if self.shape.encoder == "basic" else 1400

    @property
    def default_render_factor(self) -> int:
        """That of `artistic` for deep, of `video` for wide."""
        return 35 if self.shape.encoder == "basic" else 21

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        return "encoder.conv1.weight" in tensors

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(UNetShape.of(tensors))

    def for_tensor_cores(self) -> UNet:
        """A copy with the norms folded that follow a convolution, and with channels of zeros beside
        those of the last layers, where most of the arithmetic is, up to a multiple of 8."""
        finished = copy.deepcopy(self).eval().requires_grad_(False)
        fold_norms(finished.encoder)
        for module in finished.modules():
            if isinstance(module, ShuffleUp):
                fold_pair(module, "conv", "norm")
        channels = finished.head.in_channels
        wide = rounded_up(channels)
        for conv in finished.residual:
            assert isinstance(conv, nn.Conv2d)
            widen(conv, wide, wide)
        widen(finished.head, wide, finished.head.out_channels)
        finished.unused += wide - channels
        return finished

    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        """Always the square, as in DeOldify."""
        return render_size, render_size

    def cpu_batch(self, render_size: int) -> int:
        return 1 if render_size > 320 else 2

    def rgb(self, luma: Tensor) -> Tensor:
        normal = normalize(luma.expand(-1, 3, -1, -1))
        return denormalize(self(normal.to(self.dtype, memory_format=torch.channels_last)).float())

    def forward(self, gray: Tensor) -> Tensor:
        *skips, x = self.encoder(gray)
        x = self.middle(F.relu(self.norm(x), inplace=True))
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = block(x, skip)
        x = self.up(x)
        parts = [x, gray]
        if self.unused:
            parts.append(x.new_zeros(len(x), self.unused, *x.shape[2:]))
        x = torch.cat(parts, dim=1)
        branch = x
        for conv in self.residual:
            branch = F.relu(conv(branch), inplace=True)
        logits = self.head(x + branch)
        # The sigmoid of infinity would hide an overflow behind white or black; 0 * inf is NaN.
        return 6 * torch.sigmoid(logits) - 3 + 0 * logits


class Encoder(nn.Module):
    """A ResNet without its classifier; the names inside are torchvision's.

    (B, 3, S, S) -> five maps at S/2 (before the max-pool), S/4, S/8, S/16 and S/32 (rounded up).
    """

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        block = BasicBlock if shape.encoder == "basic" else Bottleneck
        stem = shape.widths[0]
        self.channels = [stem, *(width * block.expansion for width in shape.widths)]
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        stages = [
            _stage(block, depth, channels, width, stride)
            for depth, channels, width, stride in zip(
                shape.depths, self.channels[:-1], shape.widths, (1, 2, 2, 2), strict=True
            )
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [F.relu(self.bn1(self.conv1(x)), inplace=True)]
        x = F.max_pool2d(maps[0], 3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def _stage(
    block: type[BasicBlock | Bottleneck], depth: int, channels: int, width: int, stride: int
) -> nn.Sequential:
    """`depth` residual blocks; the first one changes size and channels, where needed."""
    out = width * block.expansion
    downsample = None
    if stride != 1 or channels != out:
        downsample = nn.Sequential(
            nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
        )
    blocks = [block(channels, width, stride, downsample)]
    blocks += [block(out, width) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


class DecoderBlock(nn.Module):
    """Doubles the size of a map and joins it with the encoder's map of that size.

    x: (B, channels, H, W), skip: (B, skip, H', W'), where H' is 2H or 2H - 1 -> (B, out, H', W').
    """

    def __init__(
        self, channels: int, skip: int, up: int, out: int, convs: int, *, attention: bool
    ) -> None:
        super().__init__()
        self.up = ShuffleUp(channels, up)
        self.skip_norm = nn.BatchNorm2d(skip)
        self.convs = nn.Sequential(
            ConvReluNorm(up + skip, out), *(ConvReluNorm(out, out) for _ in range(convs - 1))
        )
        self.attention = SelfAttention(out) if attention else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        height, width = skip.shape[-2:]
        x = self.up(x)[..., :height, :width]  # an odd S/16 makes it one row and column too large
        x = F.relu(torch.cat([x, self.skip_norm(skip)], dim=1), inplace=True)
        return self.attention(self.convs(x))
