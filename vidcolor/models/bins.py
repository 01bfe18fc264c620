"""Generators that classify color: every pixel gets a distribution over fixed color values.

After Zhang, Isola and Efros, "Colorful Image Colorization" (2016). The color is the annealed mean
of the distribution. Regression would give the mean of all plausible colors, which is sepia.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.network import ChromaGenerator


class BinGenerator(ChromaGenerator):
    """Logits of bins, of whose colors the mean is taken."""

    head: nn.Conv2d
    """The last layer, whose bias is the logarithm of the bins' prior."""

    def __init__(self, bins: int):
        super().__init__()
        self.palette = nn.Buffer(torch.zeros(bins, 2))
        """(bins, 2): the color that each bin stands for."""
        self.sharpness = nn.Buffer(torch.ones(()))
        """1 / temperature of the annealed mean; above 1 it is nearer to the most probable color."""

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Those that learn more slowly than the rest; none where all are trained alike."""
        return []

    def divide_hints(self, divisor: float) -> None:
        """Divide the chroma of all hints, where the network takes any."""
        del divisor

    @abstractmethod
    def logits(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """luma (B, 1, h, w) in [0, 1] -> (B, bins, h/4, w/4)."""

    def annealed_mean(self, logits: Tensor) -> Tensor:
        """(B, bins, h, w) -> (B, 2, h, w) float32."""
        probabilities = F.softmax(logits.float() * self.sharpness.float(), dim=1)
        return F.conv2d(probabilities, self.palette.float().T[:, :, None, None])
