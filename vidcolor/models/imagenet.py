"""The normalization of RGB that networks pretrained on ImageNet expect; DeOldify's are such."""

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's red, green and blue, in [0, 1]."""


def normalize(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] -> zero mean and unit variance over ImageNet."""
    mean, std = _moments(rgb.device)
    return (rgb - mean) / std


def denormalize(normal: Tensor) -> Tensor:
    """The inverse of `normalize`, clamped to [0, 1]."""
    mean, std = _moments(normal.device)
    return (normal * std + mean).clamp(0, 1)


def _moments(device: torch.device) -> list[Tensor]:
    return [torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD)]
