"""How colorful a picture is, without a reference."""

import math

import numpy as np
from numpy.typing import NDArray


def colorfulness(rgb: NDArray, *, absolute: bool = False) -> float:
    """Hasler and Suesstrunk 2003, "Measuring colorfulness in natural images"; 0 is gray.

    rgb: (h, w, 3), uint8 or float in 0 to 255.
    absolute: take |R - G| and |(R + G) / 2 - B|, as the published tables of DDColor and ColorMNet
    do. The figure is then another, and lower.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float32), 2, 0)
    across, along = red - green, (red + green) / 2 - blue
    if absolute:
        across, along = np.abs(across), np.abs(along)
    spread = math.hypot(across.std(dtype=np.float64), along.std(dtype=np.float64))
    offset = math.hypot(across.mean(dtype=np.float64), along.mean(dtype=np.float64))
    return spread + 0.3 * offset
