"""The residual blocks of ResNet, under torchvision's names, whose import takes a second.

He et al. 2016 (Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385).
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; (B, in, H, W) -> (B, width, H / stride, ...)."""

    expansion: ClassVar[int] = 1
    """Output channels per channel of `width`."""

    def __init__(
        self, channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        """downsample: of the shortcut, where size or channels change."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.bn2(self.conv2(x))
        x += shortcut
        return F.relu(x, inplace=True)


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, with the stride in the middle; four times as many
    output channels as `width`."""

    expansion: ClassVar[int] = 4
    """Output channels per channel of `width`."""

    def __init__(
        self, channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        """downsample: of the shortcut, where size or channels change."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x = self.bn3(self.conv3(x))
        x += shortcut
        return F.relu(x, inplace=True)
