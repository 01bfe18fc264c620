"""A critic of patches (PatchGAN, Isola et al. 2017), with the variants that recipes ask for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.critic import CriticNetwork
from vidcolor.models.sagan import PooledAttention


@dataclass(frozen=True, kw_only=True)
class PatchCriticShape:
    """The dimensions of a `PatchCritic`; the defaults are pix2pix's 70x70 PatchGAN."""

    channels: int = 3
    """Planes of its input."""
    width: int = 64
    """Channels of the first convolution; they double in each layer, up to eight times as many."""
    layers: int = 3
    """Convolutions of stride 2; one of stride 1 follows."""
    batch_norm: bool = True
    """In all layers but the first."""
    attention: bool = False
    """Self-attention before the last layer."""
    border: int = 0
    """Outermost pixels that it does not see."""


class PatchCritic(CriticNetwork):
    """(B, channels, S, S) -> logits (B, patches); for S = 256, 30 x 30 patches."""

    def __init__(self, shape: PatchCriticShape = PatchCriticShape()) -> None:
        super().__init__()
        self.shape = shape
        self.blocks = nn.ModuleList()
        channels = shape.channels
        for number in range(shape.layers + 1):
            out = shape.width * min(8, 1 << number)
            norm = shape.batch_norm and number > 0
            stride = 2 if number < shape.layers else 1
            self.blocks.append(_Layer(channels, out, stride, norm=norm))
            channels = out
        self.attention = PooledAttention(channels) if shape.attention else nn.Identity()
        self.head = nn.Conv2d(channels, 1, 4, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        if border := self.shape.border:
            picture = picture[..., border:-border, border:-border]
        x = picture
        for block in self.blocks:
            x = block(x)
        return self.head(self.attention(x)).flatten(1)


class _Layer(nn.Module):
    """A 4x4 convolution, batch norm and LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)), 0.2)
