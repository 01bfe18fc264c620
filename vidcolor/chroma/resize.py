"""Resizing of planes of any number and type, by OpenCV on CPUs and by torch on GPUs."""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Method = Literal["area", "bilinear", "bicubic"]

_OPENCV = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


def resize_arrays(planes: NDArray, size: Sequence[int], method: Method) -> NDArray:
    """(B, C, H, W) float32 -> (B, C, *size); `planes` itself if it has that size."""
    height, width = size
    if planes.shape[2:] == (height, width):
        return planes
    resized = np.empty((*planes.shape[:2], height, width), np.float32)
    for sources, targets in zip(planes, resized, strict=True):
        for source, target in zip(sources, targets, strict=True):
            cv2.resize(source, (width, height), target, interpolation=_OPENCV[method])
    return resized


def resize_planes(planes: Tensor, size: Sequence[int], method: Method) -> Tensor:
    """(B, C, H, W) float32 on any device -> (B, C, *size) there."""
    if planes.shape[2:] == tuple(size):
        return planes
    if planes.is_cuda:
        return F.interpolate(planes, tuple(size), mode=method)
    # On a CPU OpenCV is ten times as fast as torch, and MPS knows no area of a broken ratio.
    resized = resize_arrays(planes.cpu().contiguous().numpy(), size, method)
    return torch.from_numpy(resized).to(planes.device)
