"""The second shape of `lite`: an ImageNet encoder, a light decoder, hints at the decoder's scales.

Encoder: MobileNet v1 (Howard et al. 2017, https://arxiv.org/abs/1704.04861) up to its twelfth
pointwise convolution. Hints: Zhang et al., "Real-Time User-Guided Image Colorization with Learned
Deep Priors" (2017). Output: classification of chroma, as `vidcolor.models.lite` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from vidcolor.models.lite import Lite
from vidcolor.models.network import read_shape

ENCODER = "mobilenet-v1"
"""How a file's metadata names this shape."""

BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
)
"""Output channels and stride of the encoder's depthwise separable blocks."""

SKIPS = {3: 128, 5: 256, 11: 512}
"""Blocks, counted from 1, whose output joins the decoder at /4, /8 and /16, and its channels."""

HINT_SCALE = 4.0
"""Chroma of hints is multiplied by this while training, so that it is of the order of 1."""


@dataclass(frozen=True)
class MobileShape:
    """The dimensions of a `MobileLite`; they travel in its safetensors metadata."""

    encoder: str = ENCODER
    skips: tuple[int, ...] = (160, 96, 48)
    """Channels that the skip connections at /16, /8 and /4 are reduced to; 0 keeps them all."""
    decoder: tuple[int, ...] = (160, 96, 64)
    """Channels of the decoder stages at /16, /8 and /4."""
    context: int = 256
    """Numbers that describe the whole picture."""
    hints: tuple[int, ...] = (32, 48, 64, 96)
    """Channels of the hints at /4, /8, /16 and /32."""
    bins: int = 196
    """Chroma values that a pixel can take before averaging."""

    def __post_init__(self) -> None:
        for name in ("skips", "decoder", "hints"):  # JSON brings lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.encoder != ENCODER:
            raise ValueError(f"its encoder {self.encoder!r} is not known; update vidcolor")


class _StridedDepthwise(torch.autograd.Function):
    """A 3x3 convolution of each channel alone with stride 2, whose gradient is fast on CPUs.

    oneDNN has no fast one for this case. That of stride 1, on a gradient with zeros between its
    pixels, is the same and ten times as fast.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, None, 2, 1, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        full = torch.zeros_like(x)
        full[:, :, ::2, ::2] = gradients[0]
        ours, weights, _ = torch.ops.aten.convolution_backward(
            full, x, weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), len(weight),
            (True, True, False),
        )  # fmt: skip
        return ours, weights


class Unit(nn.Module):
    """Convolution, batch norm, and ReLU up to `most`.

    Without `norm` the convolution has a bias instead: what a finished network is folded to.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        most: float | None = None,
        active: bool = True,
        eps: float = 1e-5,
        norm: bool,
    ):
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=not norm
        )
        self.norm = nn.BatchNorm2d(outputs, eps=eps) if norm else nn.Identity()
        self.most, self.active = most, active

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self._convolved(x))
        if not self.active:
            return x
        return F.relu(x, inplace=True) if self.most is None else F.hardtanh(x, 0.0, self.most, True)

    def _convolved(self, x: Tensor) -> Tensor:
        conv = self.conv
        strided = conv.groups > 1 and conv.stride == (2, 2)
        if not (strided and self.training and x.device.type == "cpu"):
            return conv(x)
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            return _StridedDepthwise.apply(x.to(dtype), conv.weight.to(dtype))
        return _StridedDepthwise.apply(x, conv.weight)


class Separable(nn.Module):
    """MobileNet's block: a 3x3 convolution of each channel alone, then a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, norm: bool):
        super().__init__()
        options = {"most": 6.0, "eps": 1e-3, "norm": norm}
        self.depthwise = Unit(inputs, inputs, stride=stride, groups=inputs, **options)
        self.pointwise = Unit(inputs, outputs, 1, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class Context(nn.Module):
    """What the whole picture says: the global mean and spread of every channel, as few numbers."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.describe = nn.Sequential(nn.Linear(2 * width, outputs), nn.ReLU())
        self.weigh = nn.Linear(outputs, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, width, h, w) -> the same, each channel weighed, and (B, outputs)."""
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
        # A channel may be constant, where the root has no slope.
        spread = (variance + 1e-6).sqrt()
        context = self.describe(torch.cat((mean, spread), 1).to(x.dtype))
        return x * torch.sigmoid(self.weigh(context))[:, :, None, None], context


class Up(nn.Module):
    """Twice the size by pixel shuffle, joined with a skip connection, under the context."""

    def __init__(
        self, inputs: int, skip: int, reduced: int, outputs: int, context: int, *, norm: bool
    ):
        super().__init__()
        self.widen = nn.Conv2d(inputs, 4 * outputs, 1, bias=False)
        self.reduce = Unit(skip, reduced, 1, norm=norm) if reduced else nn.Identity()
        self.fuse = Unit(outputs + (reduced or skip), outputs, norm=norm)
        self.shift = nn.Linear(context, outputs)
        self.first = Unit(outputs, outputs, norm=norm)
        self.second = Unit(outputs, outputs, active=False, norm=norm)

    def forward(self, x: Tensor, skip: Tensor, context: Tensor, hint: Tensor | None) -> Tensor:
        x = F.pixel_shuffle(self.widen(x), 2)
        x = self.fuse(torch.cat((x, self.reduce(skip)), 1))
        x = x + self.shift(context)[:, :, None, None]
        if hint is not None:
            x = x + hint
        return F.relu(x + self.second(self.first(x)))


class Hints(nn.Module):
    """Sparse chroma at /4 -> what is added at each scale of the decoder.

    No biases and no norms: an empty hint is exactly no hint.
    """

    def __init__(self, widths: tuple[int, ...], decoder: tuple[int, ...], deepest: int):
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            for inputs, outputs, stride in zip((3, *widths[:-1]), widths, (1, 2, 2, 2), strict=True)
        )
        self.spread = nn.ModuleList(
            nn.Conv2d(width, outputs, 1, bias=False)
            for width, outputs in zip(widths, (*reversed(decoder), deepest), strict=True)
        )

    def forward(self, hints: Tensor) -> list[Tensor]:
        """(B, 3, h/4, w/4) -> additions at /4, /8, /16 and /32."""
        found = []
        for step, spread in zip(self.steps, self.spread, strict=True):
            hints = F.relu(step(hints))
            found.append(spread(hints))
        return found


class MobileLite(Lite):
    """The built-in generator on a MobileNet v1.

    norm: with batch norms, to train; without them it is what files hold.
    """

    shape: MobileShape
    takes_hints = True
    exact_vectors = True

    def __init__(self, shape: MobileShape = MobileShape(), *, norm: bool = False):
        super().__init__(shape.bins)
        self.shape = shape
        self.stem = Unit(1, 32, stride=2, most=6.0, eps=1e-3, norm=norm)
        widths = (32, *(width for width, _ in BLOCKS))
        self.blocks = nn.ModuleList(
            Separable(inputs, outputs, stride, norm=norm)
            for inputs, (outputs, stride) in zip(widths, BLOCKS, strict=False)
        )
        self.context = Context(widths[-1], shape.context)
        self.ups = nn.ModuleList(
            Up(inputs, skip, reduced, outputs, shape.context, norm=norm)
            for inputs, skip, reduced, outputs in zip(
                (widths[-1], *shape.decoder),
                reversed(SKIPS.values()),
                shape.skips,
                shape.decoder,
                strict=False,
            )
        )
        self.hints = Hints(shape.hints, shape.decoder, widths[-1])
        self.head = nn.Conv2d(shape.decoder[-1], shape.bins, 1)
        self.hint_scale = nn.Buffer(torch.tensor(HINT_SCALE))
        """Factor on the chroma of hints; in a finished network less by its gain on all chroma."""
        self.tint = nn.Linear(shape.context, shape.bins, bias=False)

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        shape = metadata.get("shape", "")
        return metadata.get("architecture") == "lite" and '"encoder"' in shape

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls(read_shape(MobileShape, metadata["shape"]), norm=True)

    def for_inference(self) -> "MobileLite":
        return self.folded()

    def features(self, luma: Tensor) -> Tensor:
        """luma (B, 1, h, w) in [0, 1] -> (B, 1024): the mean of the encoder's last map."""
        x = self.stem(luma.to(self.dtype) * 2 - 1)
        for block in self.blocks:
            x = block(x)
        return x.float().mean((2, 3))

    def logits(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        x, skips = self._encoded(luma)
        added: list[Tensor | None] = [None] * (len(SKIPS) + 1)
        if hints is not None:
            colors, mask = hints[:, :2] * self.hint_scale.to(hints.dtype), hints[:, 2:]
            hinted = self.hints(torch.cat((colors, mask), 1))
            added = [*hinted]
            x = x + hinted[-1]
        x, context = self.context(x)
        for up, skip, hint in zip(self.ups, reversed(skips), reversed(added[:-1]), strict=True):
            x = up(x, skip, context, hint)
        return self.head(x) + self.tint(context)[:, :, None, None]

    def feature_maps(self, luma: Tensor) -> list[Tensor]:
        """luma (B, 1, h, w) in [0, 1], sides multiples of 32 -> what the encoder sees at /4, /8 and
        /16, (B, channels, h/4, w/4) and so on: alike where things are alike.
        """
        return self._encoded(luma.to(self.dtype), max(SKIPS))[1]

    def _encoded(self, luma: Tensor, blocks: int = len(BLOCKS)) -> tuple[Tensor, list[Tensor]]:
        """The output of the first blocks, and those that join the decoder."""
        x = self.stem(luma * 2 - 1)
        skips = []
        for number, block in enumerate(self.blocks[:blocks], 1):
            x = block(x)
            if number in SKIPS:
                skips.append(x)
        return x, skips

    def encoder_parameters(self) -> list[nn.Parameter]:
        return [*self.stem.parameters(), *self.blocks.parameters()]

    def divide_hints(self, divisor: float) -> None:
        self.hint_scale.div_(divisor)

    @torch.no_grad()
    def folded(self) -> "MobileLite":
        """A copy with its norms folded into the convolutions before them, in eval mode."""
        plain = MobileLite(self.shape).eval()
        state = self.state_dict()
        for name, unit in self.named_modules():
            if not isinstance(unit, Unit) or not isinstance(unit.norm, nn.BatchNorm2d):
                continue
            for key in list(state):
                if key.startswith(f"{name}.norm."):
                    del state[key]
            mean, variance = unit.norm.running_mean, unit.norm.running_var
            assert mean is not None and variance is not None
            weight, bias = fuse_conv_bn_weights(
                unit.conv.weight,
                None,
                mean,
                variance,
                unit.norm.eps,
                unit.norm.weight,
                unit.norm.bias,
            )
            state[f"{name}.conv.weight"], state[f"{name}.conv.bias"] = weight, bias
        plain.load_state_dict(state)
        return plain
