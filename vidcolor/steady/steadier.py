"""A stream of coloured frames in, the same frames with steady colours out."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.steady.motion import Link, Motion, Tracker, squares
from vidcolor.steady.settings import SmoothSettings

LARGEST_GRID = 256 * 256
"""Pixels of the grid on which motion is sought and colours are carried."""

CUT_SCORE = 10.0
"""ffmpeg's own threshold for a scene cut."""
EXPLAINED = 0.6
"""Share of a frame that motion must explain to overrule a cut that the score reports."""
UNEXPLAINED = 0.25
"""Share below which a new shot begins, whatever the score."""

DISAGREEMENT = 0.08
"""Distance in chroma at which an odd frame counts for half."""
CONTRADICTION = 0.15
"""Distance in chroma at which the past counts for half against what follows."""

LARGEST_GAIN = 1.2
"""Bound on the saturation that is given back for what averaging takes away."""


class SmallFrame(NamedTuple):
    """One coloured frame as the generator makes it."""

    pts: int
    """Timestamp in units of the film's time base."""
    luma: NDArray
    """(h, w) uint8, full range."""
    chroma: NDArray
    """(2, h', w') float32 in [-0.5, 0.5]."""
    cut_score: float
    """As of LumaFrame: how much luma changed against the frame before, 0 to 100."""


class Memory(NamedTuple):
    """All that is needed to go on after a frame: `np.savez(file, **memory._asdict())` keeps it,
    `Memory(**np.load(file))` brings it back.
    """

    luma: NDArray
    """(h, w) uint8, on the grid."""
    chroma: NDArray
    """(h, w, 2) float32, on the grid, as it came."""
    past: NDArray
    """(h, w, 3) float32: weighted sums of Cb and Cr over the shot so far, and their weights."""
    gains: NDArray
    """(2,) float64: weighted sum of the shot's gains in saturation, and its weight."""


class SteadyFrame(NamedTuple):
    """One frame with the colour that it keeps."""

    pts: int
    chroma: NDArray
    """(2, h', w') float32 in [-0.5, 0.5]."""
    memory: Memory | None
    """To go on after this frame; None where smoothing is off."""


class _Seen(NamedTuple):
    """A frame in the look-ahead window."""

    frame: SmallFrame
    luma: NDArray
    """(h, w) uint8, on the grid."""
    chroma: NDArray
    """(h, w, 2) float32, on the grid."""
    link: Link | None
    """To the frame before; None for the first of a shot."""
    weight: NDArray
    """(h, w) float32 in [0, 1]: how far a neighbour agrees with its colours."""
    sums: NDArray
    """(h, w, 3) float32: its share in weighted sums of Cb and Cr, and in their weights."""


class Steadier:
    """Averages each frame's chroma with its shot's past and the frames that follow.

    Past and following frames are carried along the motion of luma and count as far as it can be
    trusted. The result depends on the frames alone, not on how they are handed over, and a run that
    goes on from `memory` gives bit for bit what an uninterrupted one gives.
    """

    def __init__(self, settings: SmoothSettings, memory: Memory | None = None):
        self.settings = settings
        self._memory = memory
        self._tracker = Tracker()

    def run(self, frames: Iterable[SmallFrame]) -> Iterator[SteadyFrame]:
        """Yield one steady frame for each frame, `settings.ahead` frames behind."""
        if self.settings.strength == "off":
            for frame in frames:
                yield SteadyFrame(frame.pts, frame.chroma, None)
            return
        window: deque[_Seen] = deque()
        for frame in frames:
            self._look(window, frame)
            if len(window) > self.settings.ahead:
                yield self._settle(window)
        while window:
            yield self._settle(window)

    def _look(self, window: deque[_Seen], frame: SmallFrame) -> None:
        """Put a frame into the window, linked with the one before where no cut is between."""
        grid = _grid(frame.luma)
        luma = _resize(frame.luma, grid)
        chroma = _resize(frame.chroma.transpose(1, 2, 0), grid)
        weight = np.full(luma.shape, 1, np.float32)
        before = window[-1] if window else self._memory
        if before is not None and before.luma.shape != luma.shape:
            before = None  # a memory of another grid: a shot begins
        link = None if before is None else self._tracker.link(before.luma, luma)
        if before is None or link is None or _is_cut(link, frame.cut_score):
            window.append(_Seen(frame, luma, chroma, None, weight, _sums(chroma, weight)))
            return

        if window:
            following = _agreement(window[-1].chroma, chroma, link.back)
            # The first of a shot has only this neighbour; any other may agree with either.
            first = window[-1].link is None
            weight = following if first else np.maximum(window[-1].weight, following)
            sums = _sums(window[-1].chroma, weight)
            window[-1] = window[-1]._replace(weight=weight, sums=sums)
        weight = _agreement(chroma, before.chroma, link.forth)
        window.append(_Seen(frame, luma, chroma, link, weight, _sums(chroma, weight)))

    def _settle(self, window: deque[_Seen]) -> SteadyFrame:
        """Take the oldest frame out of the window, with its final colours."""
        seen = window.popleft()
        future = _following(window, seen.luma.shape)
        now = seen.sums
        past, gains = np.zeros_like(now), np.zeros(2)
        if seen.link is not None and self._memory is not None:
            past = _carry(self._memory.past, seen.link.forth)
            past *= self._standing(past, future + now, future[..., 2])[..., None]
            gains = self._memory.gains * min(1, self.settings.age / self._memory.gains[1])

        past += now
        steady = _mean(past + future)
        height, width = seen.frame.chroma.shape[1:]
        moved = _resize(steady - seen.chroma, (width, height)).transpose(2, 0, 1)
        chroma = seen.frame.chroma + moved
        gains = gains + np.array([_gain(seen.frame.chroma, chroma), 1])
        self._memory = Memory(seen.luma, seen.chroma, past, gains)
        chroma *= gains[0] / gains[1]
        return SteadyFrame(seen.frame.pts, chroma.clip(-0.5, 0.5), self._memory)

    def _standing(self, past: NDArray, future: NDArray, seen: NDArray) -> NDArray:
        """(h, w) in [0, 1]: how much of the past may count, being old or contradicted.

        One frame contradicts nothing; the more of the following that can be seen, the more.
        """
        aged = np.minimum(1, self.settings.age / np.maximum(past[..., 2], 1e-6))
        apart = squares(_mean(past) - _mean(future))
        sure = np.minimum(1, seen / self.settings.ahead)
        return aged / (1 + sure * (apart / CONTRADICTION**2) ** 2)


def _is_cut(link: Link, score: float) -> bool:
    return link.trust < (EXPLAINED if score >= CUT_SCORE else UNEXPLAINED)


def _following(window: Iterable[_Seen], shape: tuple[int, ...]) -> NDArray:
    """(h, w, 3): the sums of the shot's next frames, carried to the frame before them."""
    shot = []
    for seen in window:
        if seen.link is None:
            break
        shot.append(seen)
    sums = np.zeros((*shape, 3), np.float32)
    for seen in reversed(shot):
        sums = _carry(sums + seen.sums, seen.link.back)
    return sums


def _agreement(chroma: NDArray, neighbor: NDArray, motion: Motion) -> NDArray:
    """(h, w) in [0, 1]: 1 where the neighbour has the same colour, or cannot tell."""
    apart = squares(chroma - motion.carry(neighbor))
    agreement = 1 / (1 + apart / DISAGREEMENT**2)
    return 1 - motion.trust * (1 - agreement)


def _sums(chroma: NDArray, weight: NDArray) -> NDArray:
    blue, red = cv2.split(chroma)
    return cv2.merge([blue * weight, red * weight, weight])


def _carry(sums: NDArray, motion: Motion) -> NDArray:
    return cv2.multiply(motion.carry(sums), cv2.merge([motion.trust] * 3))


def _mean(sums: NDArray) -> NDArray:
    """(h, w, 3) -> (h, w, 2): Cb and Cr; gray where nothing was seen."""
    blue, red, weight = cv2.split(sums)
    weight = np.maximum(weight, 1e-6)
    return cv2.merge([blue / weight, red / weight])


def _gain(before: NDArray, after: NDArray) -> float:
    """By what the chroma has to grow to be as colourful as it was, within bounds."""
    return min(max(_colorfulness(before) / max(_colorfulness(after), 1e-6), 1), LARGEST_GAIN)


def _colorfulness(chroma: NDArray) -> float:
    """How far the colours spread and how far their mean is from gray, added up.

    After Hasler and Suesstrunk 2003, who give the mean less weight; with it whole, neither spread
    nor mean is far from what it was.
    """
    mean = chroma.mean((1, 2))
    square = float((chroma**2).sum(0).mean())
    length = float(mean @ mean)
    return math.sqrt(max(square - length, 0)) + math.sqrt(length)


def _grid(luma: NDArray) -> tuple[int, int]:
    """(width, height) of the grid for frames of this size."""
    height, width = luma.shape
    scale = min(1, math.sqrt(LARGEST_GRID / (width * height)))
    return max(16, round(width * scale)), max(16, round(height * scale))


def _resize(planes: NDArray, size: tuple[int, int]) -> NDArray:
    """(h, w[, c]) -> (height, width[, c]) of size (width, height), averaging what gets smaller."""
    smaller = size[0] < planes.shape[1]
    mode = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(planes), size, interpolation=mode)
