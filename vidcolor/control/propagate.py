"""Known colors of some frames of a shot, carried to all others: arrays in, arrays out.

Two ways lead from a known frame to another. Optical flow of luma, chained from frame to frame,
is exact for as long as it does not lose what it follows. Likeness in the features of a network
(`matching`) finds things again wherever they went, more coarsely. Each pixel takes the first as
far as its luma proves it right, else the second; where nothing is alike, the share of both is
small, and the caller's own colors remain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.chroma.temporal.motion import Tracker
from vidcolor.chroma.temporal.opencv import OpenCV
from vidcolor.chroma.upsample import upsample
from vidcolor.control.matching import Memory, condensed, project, recall, remember, see
from vidcolor.control.stack import Stack

# Chosen on color clips (benchmarks/references.py): the logistic regression of which of the two
# ways is nearer to the truth, on the squared difference of luma and the chained confidence.
FLOW_BIAS, FLOW_DIFFERENCE, FLOW_CONFIDENCE = 0.81, -0.43, 3.13
LEAST_DIFFERENCE = 4.0
"""Squared levels of 255 that noise alone makes."""
LOST = 0.02
"""Share of the flow below which it is not followed further."""

UNLIKE = 0.3
"""Likeness at which the colors found count half."""
UNLIKE_RANGE = 0.05
"""Change in likeness that changes their odds e times."""


class Known(NamedTuple):
    """Values that are known of one frame."""

    frame: int
    """Its number in the shot, from 0."""
    values: NDArray
    """(2, h, w) float32: chroma, or a difference of chroma."""
    weights: NDArray
    """(h, w) float32 in [0, 1]: 0 where nothing is known."""


class Carried(NamedTuple):
    """Values for one frame."""

    values: NDArray
    """(2, h, w) float32"""
    trust: NDArray
    """(h, w) float32 in [0, 1]"""


class _Track(NamedTuple):
    """Where a known frame's pixels went."""

    places: NDArray
    """(1, 2, h, w): x and y in the known frame of what each pixel shows."""
    confidence: NDArray
    """(1, 1, h, w) in [0, 1]: the product of that of all steps."""


class _Way(NamedTuple):
    """What the flow brings to one frame."""

    values: NDArray
    """(2, h, w)"""
    share: NDArray
    """(h, w) in [0, 1]: its part against what likeness finds."""


def propagate(
    luma: Callable[[int], NDArray], count: int, known: Sequence[Known]
) -> Iterator[Carried]:
    """Yield, for each of the `count` frames of a shot, what the known frames say about it.

    luma: gives a frame's luma (h, w) uint8, full range, of square pixels and one size for all.
    known: at least one; two of them blend by distance in time and by trust. The result is in
    memory for one frame at a time; what has to be known from the following frames is in a file.
    Raises ValueError for no or doubled or missing frames.
    """
    known = sorted(known, key=lambda one: one.frame)
    frames = [one.frame for one in known]
    if not known or len({*frames}) < len(frames) or not 0 <= frames[0] <= frames[-1] < count:
        raise ValueError(f"no {count} frames with {frames} known")
    shot = _Shot(luma)
    memories, basis = condensed(
        [remember(see(luma(one.frame)), one.values, one.weights) for one in known]
    )
    ends = [-1, *frames, count]
    for number, (begin, end) in enumerate(pairwise(ends)):
        before, after = number - 1, number if number < len(known) else -1
        backward = Stack()
        if after >= 0:
            for way in shot.follow(known[after], begin, -1):
                backward.append(_packed(way))
        forward = shot.follow(known[before], end, 1) if before >= 0 else None
        for frame in range(begin + 1, min(end + 1, count)):
            if frame == end:  # known itself; it belongs to the stretch that it ends
                yield _blended(luma(frame), basis, [(known[after], memories[after], None, 1.0)])
                continue
            sources = []
            span = end - begin
            if forward is not None:
                share = (end - frame) / span if after >= 0 else 1.0
                sources.append((known[before], memories[before], next(forward), share))
            if after >= 0:
                share = (frame - begin) / span if before >= 0 else 1.0
                way = _unpacked(backward[end - 1 - frame])
                sources.append((known[after], memories[after], way, share))
            yield _blended(luma(frame), basis, sources)


class _Shot:
    """The motion in a shot."""

    def __init__(self, luma: Callable[[int], NDArray]):
        self._luma = luma
        self._backend = OpenCV()
        self._tracker = Tracker(self._backend)

    def follow(self, known: Known, stop: int, step: int) -> Iterator[_Way]:
        """What the flow brings to the frames after, or before, the known one, up to `stop`."""
        luma, backend = self._planes(known.frame), self._backend
        start, weights = luma, known.weights[None, None]
        track = _Track(backend.pixels(luma), np.ones_like(luma))
        for frame in range(known.frame + step, stop, step):
            following = self._planes(frame)
            link = self._tracker.links(np.concatenate([luma, following]))[0]
            motion = link.forward
            track = _Track(
                backend.sample(track.places, motion.places),
                backend.sample(track.confidence, motion.places) * motion.confidence,
            )
            values = backend.sample(known.values[None], track.places)
            share = _flow_share(following, backend.sample(start, track.places), track.confidence)
            share = share * backend.sample(weights, track.places)
            yield _Way(values[0], share[0, 0])
            luma = following

    def _planes(self, frame: int) -> NDArray:
        return self._luma(frame)[None, None].astype(np.float32)


def _flow_share(luma: NDArray, carried: NDArray, confidence: NDArray) -> NDArray:
    """(1, 1, h, w) in [0, 1]: part of the flow's values against those that likeness finds."""
    apart = luma - carried
    apart = apart - np.median(apart)
    square = cv2.blur((apart * apart)[0, 0], (5, 5))[None, None]
    odds = FLOW_BIAS + FLOW_DIFFERENCE * np.log(square + LEAST_DIFFERENCE)
    return 1 / (1 + np.exp(-(odds + FLOW_CONFIDENCE * confidence)))


_Source = tuple[Known, Memory, _Way | None, float]
"""A known frame, what the flow brings from it (None: it is this frame), and its share in time."""


def _blended(luma: NDArray, basis: Tensor, sources: Sequence[_Source]) -> Carried:
    """All sources' values for a frame of this luma."""
    sources = [source for source in sources if source[3] > 0]
    memories = [memory for _, memory, _, _ in sources]
    sight = project(see(luma), basis)
    match = recall(sight, memories, [share for _, _, _, share in sources])
    guide = torch.from_numpy(luma)[None, None]
    found = upsample(match.values[None].contiguous(), guide)[0].numpy()
    height, width = luma.shape
    likeness = cv2.resize(match.likeness.numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
    alike = 1 / (1 + np.exp((UNLIKE - likeness) / UNLIKE_RANGE))

    total, parts, missed = np.zeros_like(likeness), np.zeros_like(found), np.ones_like(likeness)
    for known, _, way, share in sources:
        way = way or _Way(known.values, known.weights)
        total += share * way.share
        parts += share * way.share * way.values
        missed *= 1 - way.share
    flow = parts / np.maximum(total, 1e-6)
    sure = 1 - missed
    # Nearly nothing that the flow brings is no reason to keep away from the caller's own colors.
    trust = sure + (1 - sure) * alike
    values = (sure * flow + (1 - sure) * alike * found) / np.maximum(trust, 1e-6)
    return Carried(values.astype(np.float32), trust.astype(np.float32))


def _packed(way: _Way) -> NDArray:
    """As a file holds it."""
    return np.concatenate([way.values, way.share[None]]).astype(np.float16)


def _unpacked(packed: NDArray) -> _Way:
    whole = packed.astype(np.float32)
    return _Way(whole[:2], whole[2])
