"""Where things move from one frame to the next, found in luma alone."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

FINEST_SCALE = 1
"""DIS stops at half the size: a quarter of the time, and chroma is never sharper than that."""

LUMA_STEP = 8.0
"""Change of luma, in levels of 255, at which trust has fallen to 1/e, where there is no grain."""

CALM = 20
"""Percentage of the picture, its calmest places, that shows grain and no texture."""


class Motion(NamedTuple):
    """What carries the planes of one frame to where its neighbour shows the same things."""

    across: NDArray
    """(h, w) float32: x, in the frame that is carried, of what each pixel shows."""
    down: NDArray
    """(h, w) float32: y of the same."""
    trust: NDArray
    """(h, w) float32 in [0, 1]: how sure it is that both frames show the same thing there."""

    def carry(self, planes: NDArray) -> NDArray:
        """planes (h, w, c) float32 -> the same, moved."""
        return _sample(planes, self.across, self.down)


class Link(NamedTuple):
    """The motion between two neighbours, both ways."""

    forth: Motion
    """Carries the earlier frame to the later."""
    back: Motion
    """Carries the later frame to the earlier."""

    @property
    def trust(self) -> float:
        """Share, 0 to 1, of the later frame that the earlier one explains."""
        return float(self.forth.trust.mean())


class Tracker:
    """Dense optical flow (Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search)."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._flow.setFinestScale(FINEST_SCALE)
        # Refinement would take as long again and steadies colours no better.
        self._flow.setVariationalRefinementIterations(0)

    def link(self, earlier: NDArray, later: NDArray) -> Link:
        """Two neighbouring frames' luma, (h, w) uint8."""
        ahead = self._calculate(earlier, later)
        behind = self._calculate(later, earlier)
        grain = 2 * _grain(later)  # that of either frame
        return Link(
            forth=_motion(earlier, later, behind, ahead, grain),
            back=_motion(later, earlier, ahead, behind, grain),
        )

    def _calculate(self, here: NDArray, there: NDArray) -> NDArray:
        return self._flow.calc(here, there, np.zeros((*here.shape, 2), np.float32))


def _motion(
    carried: NDArray, target: NDArray, flow: NDArray, reverse: NDArray, grain: float
) -> Motion:
    """flow: from `target` to the frame that is carried, in pixels; reverse: the other way.
    grain: variance of what grain alone could make them differ by.

    Trust falls where going there and back ends elsewhere (Sundaram et al. 2010), where luma
    differs by more than its grain and the whole picture's flicker, and it is nothing outside the
    picture.
    """
    height, width = target.shape
    x, y = cv2.split(flow + _positions(width, height))
    back = _sample(reverse, x, y)
    missed = squares(flow + back)
    allowed = 0.02 * (squares(flow) + squares(back)) + 0.5

    change = target.astype(np.float32) - _sample(carried, x, y)
    change -= np.median(change[::4, ::4])
    change = cv2.blur(change * change, (5, 5))
    grain = min(grain, float(np.median(change[::4, ::4])))  # fine texture, well followed, is none
    change = np.maximum(change - grain, 0) * (1 / (LUMA_STEP**2 + grain))

    inside = (x > -1) & (x < width) & (y > -1) & (y < height)
    return Motion(x, y, np.exp(-(missed / allowed + change)) * inside)


def _grain(luma: NDArray) -> float:
    """Variance of the grain: that of fine detail, where there is least of it."""
    levels = luma.astype(np.float32)
    fine = levels - cv2.GaussianBlur(levels, (9, 9), 2)
    energy = cv2.blur(fine * fine, (15, 15))
    return float(np.percentile(energy[::8, ::8], CALM))


def squares(pairs: NDArray) -> NDArray:
    """(h, w, 2) -> (h, w): squared lengths."""
    first, second = cv2.split(pairs)
    return first * first + second * second


def _sample(planes: NDArray, x: NDArray, y: NDArray) -> NDArray:
    return cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=4)
def _positions(width: int, height: int) -> NDArray:
    """(h, w, 2) float32: each pixel's own x and y."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), 2).astype(np.float32)
