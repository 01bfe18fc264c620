"""`lite`: our small generator. Luma in, chroma out at a quarter of the resolution.

A residual U-Net that classifies color instead of regressing it, after Zhang, Isola and Efros,
"Colorful Image Colorization" (2016): every output pixel gets a distribution over a grid of chroma
values, and the annealed mean of that distribution is the color. Regression would give the mean
of all plausible colors, which is sepia.
"""

import itertools
import json
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.bins import BinGenerator
from vidcolor.models.network import read_shape

STRIDE = 32
"""`Lite.logits` needs sides that are multiples of this; `Lite.forward` pads others."""

SCALE = 4
"""Width and height of the luma over those of the chroma."""


@dataclass(frozen=True)
class LiteShape:
    """The dimensions of a `ResidualLite`, stored in its safetensors metadata."""

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


class GlobalExcitation(nn.Module):
    """Channel attention: channels are weighted by functions of their global mean and spread.

    Squeeze-and-excitation (Hu et al. 2018) with the standard deviation beside the mean.
    """

    def __init__(self, width: int):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(2 * width, width // 4), nn.ReLU(), nn.Linear(width // 4, width), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
        # A channel may be constant, where the root has no finite gradient.
        spread = (variance + 1e-6).sqrt()
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


class Lite(BinGenerator):
    """The built-in generator, whatever its shape: its bins are of BT.601 chroma."""

    shape: Any

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

    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        """The picture's own proportions, the area of the square, sides multiples of STRIDE."""
        stretch = math.sqrt(width / height)
        sides = (render_size * stretch, render_size / stretch)
        across, down = (max(1, round(side / STRIDE)) * STRIDE for side in sides)
        return across, down

    def chroma(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        if hints is None:
            return self(luma.to(self.dtype)).float()
        return self(luma.to(self.dtype), pooled(hints).to(self.dtype)).float()

    @abstractmethod
    def logits(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """luma (B, 1, h, w) in [0, 1], sides multiples of 32 -> (B, bins, h/4, w/4).

        hints: (B, 3, h/4, w/4), chroma in [-0.5, 0.5] where the third plane is 1, else zeros.
        """

    def forward(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """luma (B, 1, h, w) in [0, 1] -> chroma (B, 2, h/4, w/4) in [-0.5, 0.5].

        h and w are multiples of 4; what is missing to multiples of 32 is padded and cut again.
        hints: as of `logits`.
        """
        height, width = luma.shape[-2:]
        right, below = -width % STRIDE, -height % STRIDE
        padded = F.pad(luma, (0, right, 0, below), mode="replicate")
        if hints is not None:
            hints = F.pad(hints, (0, right // SCALE, 0, below // SCALE))
        chroma = self.annealed_mean(self.logits(padded, hints))
        return chroma[..., : height // SCALE, : width // SCALE]


def pooled(hints: Tensor) -> Tensor:
    """Hints (B, 3, h, w) as of `ChromaGenerator.chroma` -> (B, 3, h/4, w/4) as of `Lite.logits`.

    A cell that is hinted in part takes the mean of what is said in it.
    """
    mask = hints[:, 2:]
    sums = F.avg_pool2d(torch.cat((hints[:, :2] * mask, mask), 1), SCALE)
    share = sums[:, 2:]
    return torch.cat((sums[:, :2] / share.clamp(min=1e-6), (share > 0).to(share)), 1)


class ResidualLite(Lite):
    """The first shape: a residual U-Net, trained from scratch, without hints."""

    export_can_train = False  # its head is corrected for the training's class weights

    def __init__(self, shape: LiteShape = LiteShape()):
        super().__init__(shape.bins)
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
                GlobalExcitation(outputs),
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

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        shape = metadata.get("shape", "")
        return metadata.get("architecture") == "lite" and '"encoder"' not in shape

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(read_shape(LiteShape, metadata["shape"]))

    def logits(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        if hints is not None:
            raise ValueError("this lite takes no hints")
        x = self.stem(luma * 4 - 2)
        skips = []
        for stage in self.stages:
            skips.append(x)
            x = stage(x)
        for up in self.ups:
            x = up(x, skips.pop())
        return self.head(x)
