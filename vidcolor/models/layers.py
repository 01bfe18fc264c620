"""Layers of the generators and the critic."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvReluNorm(nn.Module):
    """3x3 convolution, ReLU, batch norm, in this order; (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.relu(self.conv(x), inplace=True))


class ShuffleUp(nn.Module):
    """Twice the size by pixel shuffle, then a 2x2 mean, which removes its checkerboard pattern.

    (B, in, H, W) -> (B, out, 2H, 2W). Without `norm` the convolution has a bias instead.
    """

    def __init__(self, channels_in: int, channels_out: int, *, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 4 * channels_out, 1, bias=not norm)
        self.norm = nn.BatchNorm2d(4 * channels_out) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_shuffle(F.relu(self.norm(self.conv(x)), inplace=True), 2)
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


class SelfAttention(nn.Module):
    """Self-attention over all positions; (B, C, H, W) -> the same shape.

    The attention of SAGAN (Zhang et al. 2018, arXiv:1805.08318), whose softmax runs over the
    *query* positions and is not scaled. For a fused attention call the two therefore swap names.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv1d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv1d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv1d(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        positions = x.flatten(2)
        seen = F.scaled_dot_product_attention(
            _one_head(self.key(positions)),
            _one_head(self.query(positions)),
            _one_head(self.value(positions)),
            scale=1.0,
        )
        return x + self.gamma * seen.squeeze(1).transpose(1, 2).reshape_as(x)


def _one_head(x: Tensor) -> Tensor:
    """(B, C, N) -> (B, 1, N, C), the layout of the fused attention kernels."""
    return x.transpose(1, 2).unsqueeze(1)
