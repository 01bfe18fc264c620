"""`lite`: our small generator. Luma in, chroma out at a quarter of the resolution.

A residual U-Net that classifies color instead of regressing it, after Zhang, Isola and Efros,
"Colorful Image Colorization" (2016): every output pixel gets a distribution over a grid of chroma
values, and the annealed mean of that distribution is the color. Regression would give the mean
of all plausible colors, which is sepia.
"""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.network import ChromaGenerator, read_shape

STRIDE = 32
"""`Lite.logits` wants sides that are multiples of this; `Lite.forward` pads the others."""

SCALE = 4
"""Chroma comes out this many times smaller than the luma went in."""


@dataclass(frozen=True)
class LiteShape:
    """The dimensions of a `Lite`; they travel in its safetensors metadata."""

    widths: tuple[int, ...] = (48, 104, 192, 288)
    """Channels of the encoder stages at /4, /8, /16 and /32."""
    decoder: tuple[int, ...] = (144, 96, 48)
    """Channels of the decoder stages at /16, /8 and /4."""
    bins: int = 196
    """Chroma values that a pixel can take before averaging."""

    def __post_init__(self) -> None:
        # JSON brings lists.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "decoder", tuple(self.decoder))


def conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Residual(nn.Module):
    """Two 3x3 convolutions around a skip connection."""

    def __init__(self, width: int):
        super().__init__()
        self.first = conv_bn_relu(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class Glance(nn.Module):
    """Lets every place know the whole picture: channels are weighed by the global mean and spread.

    Squeeze-and-excitation (Hu et al. 2018) with the standard deviation beside the mean.
    """

    def __init__(self, width: int):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(2 * width, width // 4), nn.ReLU(), nn.Linear(width // 4, width), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
        spread = (
            variance + 1e-6
        ).sqrt()  # a channel may be constant, and the root has no slope there
        weights = self.weigh(torch.cat((mean, spread), 1).to(x.dtype))
        return x * weights[:, :, None, None]


class Up(nn.Module):
    """Twice the size by pixel shuffle, joined with the skip connection of that size."""

    def __init__(self, inputs: int, skip: int, outputs: int):
        super().__init__()
        self.widen = nn.Conv2d(inputs, 4 * outputs, 1, bias=False)
        self.fuse = conv_bn_relu(outputs + skip, outputs)
        self.refine = Residual(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.pixel_shuffle(self.widen(x), 2)
        return self.refine(self.fuse(torch.cat((x, skip), 1)))


class Lite(ChromaGenerator):
    """The built-in generator."""

    export_can_train = False  # its head is corrected for the training's class weights

    def __init__(self, shape: LiteShape = LiteShape()):
        super().__init__()
        self.shape = shape
        widths, decoder = shape.widths, shape.decoder
        # Four pixels of a 2x2 block become channels: nothing is lost, and all work is done at /4.
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2), conv_bn_relu(4, widths[0], stride=2), Residual(widths[0])
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                conv_bn_relu(inputs, outputs, stride=2),
                Residual(outputs),
                Residual(outputs),
                Glance(outputs),
            )
            for inputs, outputs in itertools.pairwise(widths)
        )
        self.ups = nn.ModuleList(
            Up(inputs, skip, outputs)
            for inputs, skip, outputs in zip(
                (widths[-1], *decoder), reversed(widths[:-1]), decoder, strict=False
            )
        )
        self.head = nn.Conv2d(decoder[-1], shape.bins, 1)
        self.palette = nn.Buffer(torch.zeros(shape.bins, 2))
        """(bins, 2): the chroma that each bin stands for, in [-0.5, 0.5]."""
        self.sharpness = nn.Buffer(torch.ones(()))
        """1 / temperature of the annealed mean; above 1 colors become more vivid."""

    @property
    def name(self) -> str:
        return "lite"

    @property
    def live_channels(self) -> int:
        return 60

    @property
    def default_render_factor(self) -> int:
        return 12

    @property
    def metadata(self) -> dict[str, str]:
        return {"architecture": self.name, "shape": json.dumps(vars(self.shape))}

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        return metadata.get("architecture") == "lite"

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(read_shape(LiteShape, metadata["shape"]))

    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        """The picture's own proportions, the area of the square, sides multiples of STRIDE."""
        stretch = math.sqrt(width / height)
        sides = (render_size * stretch, render_size / stretch)
        across, down = (max(1, round(side / STRIDE)) * STRIDE for side in sides)
        return across, down

    def chroma(self, luma: Tensor) -> Tensor:
        return self(luma.to(self.dtype)).float()

    def logits(self, luma: Tensor) -> Tensor:
        """luma (B, 1, h, w) in [0, 1], sides multiples of 32 -> (B, bins, h/4, w/4)."""
        x = self.stem(luma * 4 - 2)
        skips = []
        for stage in self.stages:
            skips.append(x)
            x = stage(x)
        for up in self.ups:
            x = up(x, skips.pop())
        return self.head(x)

    def forward(self, luma: Tensor) -> Tensor:
        """luma (B, 1, h, w) in [0, 1] -> chroma (B, 2, h/4, w/4) in [-0.5, 0.5].

        h and w are multiples of 4; what is missing to multiples of 32 is padded and cut again.
        """
        height, width = luma.shape[-2:]
        padded = F.pad(luma, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        probabilities = F.softmax(self.logits(padded).float() * self.sharpness.float(), dim=1)
        chroma = F.conv2d(probabilities, self.palette.float().T[:, :, None, None])
        return chroma[..., : height // SCALE, : width // SCALE]
