"""One picture, in the color spaces that the metrics need."""

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.metrics.lab import lab


class Picture:
    """(h, w, 3) uint8 RGB, and conversions that several metrics share."""

    def __init__(self, rgb: NDArray):
        self.rgb = np.ascontiguousarray(rgb)

    @cached_property
    def lab(self) -> NDArray:
        """(h, w, 3) float32 CIE Lab: L in 0 to 100, a and b about -127 to 127."""
        return lab(self.rgb.astype(np.float32) / 255)

    @cached_property
    def luma(self) -> NDArray:
        """(h, w) uint8 BT.601 luma."""
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)

    @cached_property
    def gray(self) -> "Picture":
        """The picture without its colors."""
        return Picture(np.repeat(self.luma[..., None], 3, axis=2))
