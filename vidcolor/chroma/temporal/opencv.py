"""The temporal filter's operations on a CPU, where OpenCV is several times as fast as torch."""

from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.chroma.resize import resize_arrays

FINEST_SCALE = 1
"""DIS stops at half the size: a quarter of the time, and chroma is never sharper than that."""


class OpenCV:
    """A `Backend` of numpy arrays; its optical flow is DIS (Kroeger et al. 2016, Fast Optical Flow
    using Dense Inverse Search). One object for pictures of one size, since DIS keeps its buffers.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._flow.setFinestScale(FINEST_SCALE)
        # Refinement would double the time and does not reduce flicker further.
        self._flow.setVariationalRefinementIterations(0)

    def planes(self, values: Tensor) -> NDArray:
        return values.float().cpu().numpy()

    def tensor(self, planes: NDArray) -> Tensor:
        return torch.from_numpy(planes)

    def flow(self, here: NDArray, there: NDArray) -> NDArray:
        pairs = zip(np.rint(here).astype(np.uint8), np.rint(there).astype(np.uint8), strict=True)
        nothing = np.zeros((*here.shape[2:], 2), np.float32)
        flows = [self._flow.calc(one[0], two[0], nothing.copy()) for one, two in pairs]
        return np.ascontiguousarray(np.stack(flows).transpose(0, 3, 1, 2))

    def pixels(self, planes: NDArray) -> NDArray:
        return _pixels(*planes.shape[2:])

    def sample(self, planes: NDArray, places: NDArray) -> NDArray:
        sampled = np.empty((*planes.shape[:2], *places.shape[2:]), np.float32)
        for picture, (x, y), target in zip(planes, places, sampled, strict=True):
            for plane, into in zip(picture, target, strict=True):
                cv2.remap(plane, x, y, cv2.INTER_LINEAR, into, cv2.BORDER_REPLICATE)
        return sampled

    def resize(self, planes: NDArray, size: tuple[int, int]) -> NDArray:
        method = "area" if size[0] < planes.shape[3] else "bilinear"
        return resize_arrays(planes, size[::-1], method)

    def blur(self, planes: NDArray, side: int) -> NDArray:
        return np.stack([[cv2.blur(plane, (side, side)) for plane in some] for some in planes])

    def quantile(self, planes: NDArray, share: float) -> NDArray:
        return np.quantile(planes, share, axis=(2, 3), keepdims=True).astype(np.float32)

    def cat(self, parts: list[NDArray], axis: int) -> NDArray:
        return np.concatenate(parts, axis)


@lru_cache(maxsize=4)
def _pixels(height: int, width: int) -> NDArray:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)))[None].astype(np.float32)
