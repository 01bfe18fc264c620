"""Color distribution consistency (CDC): how much the colors of a clip vary over time.

The NTIRE 2023 challenge's definition: for R, G and B of 8 bits each the Jensen-Shannon divergence
of the histograms of frames 1, 2 and 4 apart, in nats, its mean over the clip, the mean of the
three distances, the mean of the three channels. No motion, no cuts. A gray clip, which cannot
flicker, scores well: read it as excess over the original's own.
"""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

STEPS = (1, 2, 4)
LINES = 256
"""Larger pictures are reduced to this height: fewer pixels make histograms noisier, so that only
figures of one resolution can be compared."""


class Consistency:
    """CDC of one clip, frame by frame; it keeps the histograms of four frames."""

    def __init__(self) -> None:
        self._recent: deque[NDArray] = deque(maxlen=max(STEPS))
        self._sums = dict.fromkeys(STEPS, 0.0)
        self._pairs = dict.fromkeys(STEPS, 0)

    def add(self, rgb: NDArray) -> None:
        """The next frame, (h, w, 3) uint8."""
        now = histograms(reduced(rgb))
        for step in STEPS:
            if step <= len(self._recent):
                self._sums[step] += float(divergence(self._recent[-step], now).mean())
                self._pairs[step] += 1
        self._recent.append(now)

    @property
    def value(self) -> float | None:
        """Lower is more stable; None for a clip that is too short."""
        if not all(self._pairs.values()):
            return None
        return sum(self._sums[step] / self._pairs[step] for step in STEPS) / len(STEPS)


def reduced(rgb: NDArray) -> NDArray:
    """At most LINES high."""
    height, width, _ = rgb.shape
    if height <= LINES:
        return rgb
    return cv2.resize(rgb, (round(width * LINES / height), LINES), interpolation=cv2.INTER_AREA)


def histograms(rgb: NDArray) -> NDArray:
    """(3, 256) float64: which share of the pixels has each level, for each channel."""
    counts = [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(rgb, 2, 0)]
    return np.stack(counts) / (rgb.shape[0] * rgb.shape[1])


def divergence(p: NDArray, q: NDArray) -> NDArray:
    """Jensen-Shannon divergence in nats, over the last axis: 0 for the same, ln 2 at most."""
    middle = (p + q) / 2
    return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2


def _relative_entropy(p: NDArray, q: NDArray) -> NDArray:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return (p * np.log(ratio)).sum(-1)
