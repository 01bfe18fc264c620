"""How close a picture is to the original, pixel by pixel: PSNR and SSIM.

Both rate a dull picture higher than a wrong guess; read them together with colorfulness.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
WINDOW = 11
"""Pixels on a side of SSIM's Gaussian window, whose sigma is 1.5."""


def squared_error(ours: NDArray, real: NDArray) -> float:
    """Mean squared difference; in floating point, since that of uint8 wraps around at 256."""
    return float(np.mean((ours.astype(np.float32) - real) ** 2, dtype=np.float64))


def decibels(error: float) -> float:
    """PSNR of a mean squared error, with a peak of 255 for RGB and for Lab's ab alike."""
    return 10 * math.log10(PEAK**2 / error) if error > 0 else math.inf


def ssim(ours: NDArray, real: NDArray) -> float | None:
    """Structural similarity of two (h, w, 3) uint8 pictures; 1 for the same.

    Wang et al. 2004, over the places where the window lies in the picture, mean of R, G and B; by
    OpenCV, which is twenty times as fast as torchmetrics. None for pictures below the window.
    """
    if min(ours.shape[:2]) < WINDOW:
        return None
    x, y = ours.astype(np.float32), real.astype(np.float32)
    mean_x, mean_y = _blur(x), _blur(y)
    spread = _blur(x * x) + _blur(y * y) - mean_x**2 - mean_y**2
    together = _blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    levels = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    similarity = levels * (2 * together + c2) / (spread + c2)
    inside = slice(WINDOW // 2, -(WINDOW // 2))
    return float(np.mean(similarity[inside, inside], dtype=np.float64))


def _blur(planes: NDArray) -> NDArray:
    return cv2.GaussianBlur(planes, (WINDOW, WINDOW), 1.5)
