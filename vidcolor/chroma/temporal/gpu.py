"""The temporal filter's operations in torch, for chroma that is on a GPU."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma.temporal.optical_flow import mean_around, optical_flow, pixels, sampled


class Gpu:
    """A `Backend` of tensors on one device: CUDA, or torch's CPU for tests, which is slow."""

    def __init__(self, device: torch.device):
        self._device = device

    def planes(self, values: Tensor) -> Tensor:
        return values.to(self._device, torch.float32)

    def tensor(self, planes: Tensor) -> Tensor:
        return planes

    def flow(self, here: Tensor, there: Tensor) -> Tensor:
        return optical_flow(here, there)

    def pixels(self, planes: Tensor) -> Tensor:
        return pixels(planes)

    def sample(self, planes: Tensor, places: Tensor) -> Tensor:
        return sampled(planes, places)

    def resize(self, planes: Tensor, size: tuple[int, int]) -> Tensor:
        width, height = size
        if planes.shape[2:] == (height, width):
            return planes
        mode = "area" if width < planes.shape[3] else "bilinear"
        return F.interpolate(planes, (height, width), mode=mode)

    def blur(self, planes: Tensor, side: int) -> Tensor:
        return mean_around(planes, side)

    def quantile(self, planes: Tensor, share: float) -> Tensor:
        return planes.flatten(1).quantile(share, 1)[:, None, None, None]

    def cat(self, parts: list[Tensor], axis: int) -> Tensor:
        return torch.cat(parts, axis)
