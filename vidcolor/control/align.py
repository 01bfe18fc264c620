"""A still that someone else made of a frame, brought onto that frame: arrays in, arrays out."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

WORKING_PIXELS = 320 * 240
"""Most pixels of the pictures that are compared."""
SAME = 0.55
"""Correlation of detail from which two pictures show the same."""
EXACT = 0.98
"""Correlation from which nothing is improved."""
AS_IT_IS = 0.9
"""Correlation from which no other place of the still is looked for."""
FEWEST_POINTS = 12
"""Points alike that a scaled or cropped still needs."""
BLUR = 1.5
"""Pixels: detail finer than this is grain, or a matter of the scaler."""
SURROUNDINGS = 12.0
"""Pixels: brightness that changes over more than this is a matter of grading."""
FAINTEST = 4.0
"""Contrast of detail, in levels of 255, below which there is none."""


class Aligned(NamedTuple):
    """A still as it lies on the frame."""

    planes: NDArray
    """(c, h, w) float32 at the frame's size."""
    weights: NDArray
    """(h, w) float32, 1 where the still shows something and 0 beyond its edges."""
    correlation: float
    """Of the details of both, up to 1."""


def align(luma: NDArray, planes: NDArray, frame: NDArray) -> Aligned | None:
    """Bring a still onto a frame that it shows, or a part of which it shows.

    luma: (H, W) uint8 of the still; planes: (c, H, W) float32, what is to be brought; frame: (h, w)
    uint8, the frame's luma. The still may be scaled, cropped, shifted, turned a little and graded
    otherwise. None where it does not show this frame.
    """
    best = _try(luma, planes, frame, _stretched(luma.shape, frame.shape))
    if best.correlation < AS_IT_IS:
        found = _found(luma, frame)
        if found is not None:
            other = _try(luma, planes, frame, found)
            best = max(best, other, key=lambda aligned: aligned.correlation)
    return best if best.correlation >= SAME else None


def _try(luma: NDArray, planes: NDArray, frame: NDArray, matrix: NDArray) -> Aligned:
    """With this way from the frame's pixels to the still's, (2, 3), improved a little."""
    share = min(1.0, float(np.sqrt(WORKING_PIXELS / frame.size)))
    size = (round(frame.shape[1] * share), round(frame.shape[0] * share))
    there = _detail(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    scaled = _scaled(matrix, 1 / share)
    small = _warped(luma.astype(np.float32), scaled, size)
    inside = _inside(luma.shape, scaled, size)
    as_given = _placed(luma, planes, frame, size, there, matrix)
    if as_given.correlation >= EXACT:
        return as_given
    # By a few pixels; this method finds no more than that.
    shift = np.eye(2, 3, dtype=np.float32)
    try:
        _, shift = cv2.findTransformECC(
            there,
            _detail(small),
            shift,
            cv2.MOTION_AFFINE,
            (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4),
            (inside > 0.5).astype(np.uint8),
            5,
        )
    except cv2.error:  # it does not converge where the pictures have nothing in common
        shift = np.eye(2, 3, dtype=np.float32)
    better = _after(_enlarged(shift, 1 / share), matrix)
    improved = _placed(luma, planes, frame, size, there, better)
    return max(as_given, improved, key=lambda aligned: aligned.correlation)


def _placed(
    luma: NDArray,
    planes: NDArray,
    frame: NDArray,
    size: tuple[int, int],
    there: NDArray,
    matrix: NDArray,
) -> Aligned:
    scaled = _scaled(matrix, frame.shape[1] / size[0])
    inside = _inside(luma.shape, scaled, size) > 0.99
    here = _detail(_warped(luma.astype(np.float32), scaled, size))
    full = (frame.shape[1], frame.shape[0])
    return Aligned(
        np.stack([_warped(plane, matrix, full) for plane in planes]),
        _inside(luma.shape, matrix, full),
        _correlation(here[inside], there[inside]),
    )


def _stretched(still: tuple[int, ...], frame: tuple[int, ...]) -> NDArray:
    """The whole still on the whole frame."""
    across, down = still[1] / frame[1], still[0] / frame[0]
    return np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5]], np.float32)


def _found(luma: NDArray, frame: NDArray) -> NDArray | None:
    """Where in the still the frame is, by points that look alike; None if that cannot be said."""
    sift = cv2.SIFT.create(2000)
    share = min(1.0, float(np.sqrt(4 * WORKING_PIXELS / luma.size)))
    size = (round(luma.shape[1] * share), round(luma.shape[0] * share))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    ours, our_words = sift.detectAndCompute(frame, None)  # pyright: ignore[reportCallIssue,reportArgumentType]
    theirs, their_words = sift.detectAndCompute(small, None)  # pyright: ignore[reportCallIssue,reportArgumentType]
    if min(len(ours), len(theirs)) < FEWEST_POINTS:
        return None
    pairs = cv2.BFMatcher().knnMatch(our_words, their_words, k=2)
    good = [one for one, other in pairs if one.distance < 0.8 * other.distance]
    if len(good) < FEWEST_POINTS:
        return None
    source = np.array([ours[pair.queryIdx].pt for pair in good], np.float32)
    target = np.array([theirs[pair.trainIdx].pt for pair in good], np.float32)
    matrix, kept = cv2.estimateAffine2D(source, target, ransacReprojThreshold=2)
    if matrix is None or int(kept.sum()) < FEWEST_POINTS:
        return None
    return (matrix / share).astype(np.float32)


def _detail(luma: NDArray) -> NDArray:
    """(h, w) float32: detail against its surroundings, whatever the brightness and contrast."""
    smooth = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), BLUR)
    mean = cv2.GaussianBlur(smooth, (0, 0), SURROUNDINGS)
    detail = smooth - mean
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), SURROUNDINGS))
    return detail / (spread + FAINTEST)


def _correlation(here: NDArray, there: NDArray) -> float:
    if here.size < 64:
        return 0.0
    here, there = here - here.mean(), there - there.mean()
    power = float((here * here).sum()) * float((there * there).sum())
    return float((here * there).sum()) / max(power**0.5, 1e-6)


def _warped(plane: NDArray, matrix: NDArray, size: tuple[int, int]) -> NDArray:
    """Averaged before it is made much smaller, so that grain does not turn into pattern."""
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink > 1.5:
        plane = cv2.GaussianBlur(plane, (0, 0), 0.4 * shrink)
    return cv2.warpAffine(
        plane,
        matrix,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _inside(still: tuple[int, ...], matrix: NDArray, size: tuple[int, int]) -> NDArray:
    """(h, w) float32: 1 where the still is."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    across = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    down = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    # Half a pixel beyond the middle of the last one, and a little for what is not exact.
    slack = 1.0
    right, bottom = still[1] - 1 + slack, still[0] - 1 + slack
    return ((across >= -slack) & (down >= -slack) & (across <= right) & (down <= bottom)).astype(
        np.float32
    )


def _scaled(matrix: NDArray, step: float) -> NDArray:
    """For frame pixels that are `step` times as large."""
    half = (step - 1) / 2
    linear = matrix[:, :2]
    return np.column_stack([step * linear, matrix[:, 2] + linear @ [half, half]]).astype(np.float32)


def _enlarged(shift: NDArray, step: float) -> NDArray:
    """A way within one picture, for that picture with `step` times as many pixels on a side."""
    half = (step - 1) / 2
    linear = shift[:, :2]
    moved = step * shift[:, 2] + half - linear @ [half, half]
    return np.column_stack([linear, moved]).astype(np.float32)


def _after(first: NDArray, second: NDArray) -> NDArray:
    """`second` applied to what `first` gives."""
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, second[:, :2] @ first[:, 2] + second[:, 2]]).astype(np.float32)
