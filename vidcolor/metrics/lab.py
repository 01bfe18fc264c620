"""CIELAB, in which errors of color are measured."""

import cv2
import numpy as np
from numpy.typing import NDArray


def lab(rgb: NDArray) -> NDArray:
    """(h, w, 3) sRGB in [0, 1] -> (h, w, 3) float32: L in [0, 100], a, b."""
    return cv2.cvtColor(rgb.astype(np.float32, copy=False), cv2.COLOR_RGB2Lab)


def ab(rgb: NDArray) -> NDArray:
    """The a and b of `lab`: (h, w, 2)."""
    return lab(rgb)[..., 1:]
