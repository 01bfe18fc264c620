"""The operations of the temporal filter that OpenCV and torch do differently."""

from typing import Any, Protocol

import torch
from torch import Tensor

from vidcolor.chroma.temporal.gpu import Gpu
from vidcolor.chroma.temporal.opencv import OpenCV

Planes = Any
"""(n, c, h, w) float32: a numpy array on a CPU, a tensor on a GPU.

Operators, slices, `clip`, `mean` and `sum` are the same for both, so that what is written with them
is written once.
"""


class Backend(Protocol):
    """n planes of motion move n pictures, or one moves one."""

    def planes(self, values: Tensor) -> Planes:
        """(n, c, h, w), any type, any device -> planes."""
        ...

    def tensor(self, planes: Planes) -> Tensor:
        """The same values for other rooms, without a copy."""
        ...

    def flow(self, here: Planes, there: Planes) -> Planes:
        """Luma (n, 1, h, w), 0 to 255, of two frames -> (n, 2, h, w): how many pixels across and
        down the things in `here` are away in `there`.
        """
        ...

    def pixels(self, planes: Planes) -> Planes:
        """(n, c, h, w) -> (1, 2, h, w): each pixel's own x and y."""
        ...

    def sample(self, planes: Planes, places: Planes) -> Planes:
        """planes (n, c, h, w) at places (n, 2, h', w'), x and y -> (n, c, h', w'), bilinear; pixels
        at the edge are replicated beyond it.
        """
        ...

    def resize(self, planes: Planes, size: tuple[int, int]) -> Planes:
        """To (width, height), averaging what gets smaller."""
        ...

    def blur(self, planes: Planes, side: int) -> Planes:
        """The mean of the square of `side` (odd) pixels around each."""
        ...

    def quantile(self, planes: Planes, share: float) -> Planes:
        """(n, 1, h, w) -> (n, 1, 1, 1): the value that `share`, 0 to 1, of the pixels are below."""
        ...

    def cat(self, parts: list[Planes], axis: int) -> Planes:
        """One after the other: frames (axis 0) or channels (axis 1)."""
        ...


def backend_for(device: torch.device) -> Backend:
    """CUDA's own; OpenCV for all others."""
    return Gpu(device) if device.type == "cuda" else OpenCV()
