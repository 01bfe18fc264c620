"""Warping error: does a point keep its color while it moves?

Lai et al. 2018, "Learning Blind Video Temporal Consistency", with another optical flow: OpenCV's
DIS (medium preset) on the original's luma, instead of FlowNet2 on its RGB. Figures made with
different flows cannot be compared. Where the flow cannot be right (Sundaram et al. 2010: points
that disappear, edges of motion) nothing is measured.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

FLOW = "DIS, medium, on the original's luma"
SMALLEST = 16
"""Pixels on a side, below which there is no optical flow."""


@dataclass(frozen=True)
class Motion:
    """Where the points of one frame are in the next, and back."""

    forward: NDArray
    """(h, w, 2) float32, in pixels: across, down."""
    backward: NDArray

    @cached_property
    def visible(self) -> NDArray:
        """(h, w) bool: points of the first frame that can be followed into the second."""
        return ~(disappears(self.forward, self.backward) | moves_apart(self.forward))

    def bring_back(self, picture: NDArray) -> NDArray:
        """The second frame (h, w, n), float32, as it would look from the first."""
        return warp(picture, self.forward)


def motion_between(first: NDArray, second: NDArray) -> Motion:
    """Optical flow of two (h, w) uint8 pictures of luma, both ways."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    nothing = np.zeros((*first.shape, 2), np.float32)
    return Motion(flow.calc(first, second, nothing.copy()), flow.calc(second, first, nothing))


def warp(picture: NDArray, flow: NDArray) -> NDArray:
    """Fetch each point from where the flow says that it is; (h, w, n) float32, bilinear.

    Pixels at the edge are replicated beyond it, as in Lai's code.
    """
    height, width, _ = flow.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(
        picture,
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def disappears(forward: NDArray, backward: NDArray) -> NDArray:
    """(h, w) bool: the forward and backward flow disagree (Sundaram's occlusion)."""
    returned = warp(backward, forward)
    error = _squared(forward + returned)
    return error > 0.01 * (_squared(forward) + _squared(returned)) + 0.5


def moves_apart(flow: NDArray) -> NDArray:
    """(h, w) bool: the flow changes steeply (Sundaram's motion boundary)."""
    steepness = np.zeros(flow.shape[:2], np.float32)
    for axis in (0, 1):
        step = np.diff(flow, axis=axis, append=np.take(flow, [-1], axis))
        steepness += _squared(step)
    return steepness > 0.01 * _squared(flow) + 0.002


def warping_error(first: NDArray, second: NDArray, motion: Motion) -> float | None:
    """Mean squared difference, RGB in [0, 1], over the points and channels that can be followed.

    first, second: (h, w, 3) uint8. None where no point can be.
    """
    if not motion.visible.any():
        return None
    back = motion.bring_back(second.astype(np.float32) / 255)
    difference = (first.astype(np.float32) / 255 - back)[motion.visible]
    return float(np.mean(difference.astype(np.float64) ** 2))


def _squared(vectors: NDArray) -> NDArray:
    return (vectors**2).sum(-1)
