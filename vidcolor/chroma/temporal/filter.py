"""A stream of colored frames in, the same frames with steady colors out."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.chroma.temporal.backend import Backend, Planes
from vidcolor.chroma.temporal.motion import Link, Motion, Tracker, squares
from vidcolor.chroma.temporal.opencv import OpenCV
from vidcolor.chroma.temporal.settings import SmoothSettings

LARGEST_GRID = 512 * 512
"""Pixels of the grid on which motion is sought and colors are carried. A grid that is smaller than
chroma lets the flicker of details pass."""

TOGETHER = 8
"""Frames whose motion is found at once: enough to keep a GPU busy, few enough for its state."""

CUT_SCORE = 10.0
"""ffmpeg's own threshold for a scene cut."""
EXPLAINED = 0.6
"""Share of a frame that motion must explain to overrule a cut that the score reports."""
UNEXPLAINED = 0.25
"""Share below which a new shot begins, whatever the score."""

DISAGREEMENT = 0.08
"""Distance in chroma at which an odd frame counts for half."""
CONTRADICTION = 0.1
"""Distance in chroma at which the past counts for half against what follows."""

LARGEST_GAIN = 1.2
"""Bound on the saturation that is given back for what averaging takes away."""
GIVEN_BACK = 0.6
"""Share of it that is given back, as a power: the rest was flicker, which is no color."""


class SmallFrame(NamedTuple):
    """One colored frame as the generator makes it."""

    pts: int
    """Timestamp in units of the film's time base."""
    luma: NDArray
    """(h, w) uint8, full range."""
    chroma: Tensor
    """(2, h', w') float32 in [-0.5, 0.5], on any device."""
    cut_score: float
    """As of LumaFrame: how much luma changed against the frame before, 0 to 100."""


class FilterState(NamedTuple):
    """All that is needed to go on after a frame."""

    luma: Planes
    """(1, 1, h, w), 0 to 255, on the grid."""
    chroma: Planes
    """(1, 2, h, w), on the grid, as it came."""
    past: Planes
    """(1, 3, h, w): weighted sums of Cb and Cr over the shot so far, and their weights."""
    gains: Planes
    """(1, 2, 1, 1): weighted sum of the shot's gains in saturation, and its weight."""

    def arrays(self) -> dict[str, NDArray]:
        """By name, to be kept in a file."""
        return {name: torch.as_tensor(part).cpu().numpy() for name, part in self._asdict().items()}

    @staticmethod
    def of(arrays: Mapping[str, NDArray]) -> "FilterState":
        """From what `arrays` gave."""
        return FilterState(**{name: torch.from_numpy(part) for name, part in arrays.items()})


class FilteredFrame(NamedTuple):
    """One frame with the color that it keeps."""

    pts: int
    chroma: Tensor
    """(2, h', w') float32 in [-0.5, 0.5], where it was steadied."""
    state: FilterState | None
    """To go on after this frame; None where smoothing is off."""


class _Seen(NamedTuple):
    """A frame in the look-ahead window; all but its own chroma is on the grid."""

    pts: int
    own: Planes
    """(1, 2, h', w'): its chroma as it came."""
    luma: Planes
    """(1, 1, h, w)"""
    chroma: Planes
    """(1, 2, h, w)"""
    link: Link | None
    """To the frame before; None for the first of a shot."""
    weight: Planes
    """(1, 1, h, w) in [0, 1]: how far a neighbor agrees with its colors."""
    sums: Planes
    """(1, 3, h, w): its share in weighted sums of Cb and Cr, and in their weights."""


class TemporalFilter:
    """Averages each frame's chroma with its shot's past and the frames that follow.

    Past and following frames are carried along the motion of luma and count as far as it can be
    trusted. The result depends on the frames alone, not on how they are handed over, and a run that
    goes on from `state` gives what an uninterrupted one gives; on a CPU bit for bit.

    backend: of the device where chroma is and is to be; a CPU's if there is none.
    """

    def __init__(
        self,
        settings: SmoothSettings,
        state: FilterState | None = None,
        backend: Backend | None = None,
    ):
        self.settings = settings
        self._backend = backend or OpenCV()
        self._tracker = Tracker(self._backend)
        self._state = state and FilterState(*map(self._backend.planes, map(torch.as_tensor, state)))

    def run(self, frames: Iterable[SmallFrame]) -> Iterator[FilteredFrame]:
        """Yield one filtered frame per frame, delayed by up to `settings.lookahead` plus TOGETHER.

        All frames are of one size.
        """
        if self.settings.strength == "off":
            yield from (FilteredFrame(frame.pts, frame.chroma, None) for frame in frames)
            return
        frames = iter(frames)
        window: deque[_Seen] = deque()
        while some := list(islice(frames, TOGETHER)):
            for seen in self._seen(some, window[-1] if window else self._state):
                self._look(window, seen)
                if len(window) > self.settings.lookahead:
                    yield self._settle(window)
        while window:
            yield self._settle(window)

    def _seen(
        self, frames: Sequence[SmallFrame], before: _Seen | FilterState | None
    ) -> Iterator[_Seen]:
        """Frames on the grid, each linked with the one before where no cut is between."""
        backend = self._backend
        luma = backend.planes(torch.from_numpy(np.stack([frame.luma for frame in frames])[:, None]))
        own = backend.planes(torch.stack([frame.chroma for frame in frames]))
        grid = _grid(*frames[0].luma.shape)
        luma, chroma = backend.resize(luma, grid), backend.resize(own, grid)
        links: list[Link | None] = [None]
        if before is not None and before.luma.shape[2:] == luma.shape[2:]:
            links = [*self._tracker.links(backend.cat([before.luma, luma], 0))]
        elif len(frames) > 1:
            links += self._tracker.links(luma)
        weight = chroma[:, :1] * 0 + 1
        sums = backend.cat([chroma, weight], 1)
        for i, (frame, link) in enumerate(zip(frames, links, strict=True)):
            one = slice(i, i + 1)
            yield _Seen(
                pts=frame.pts,
                own=own[one],
                luma=luma[one],
                chroma=chroma[one],
                link=None if link and _is_cut(link, frame.cut_score) else link,
                weight=weight[one],
                sums=sums[one],
            )

    def _look(self, window: deque[_Seen], seen: _Seen) -> None:
        """Put a frame into the window, and weigh it and the one before by what the other says."""
        before = window[-1] if window else self._state
        if seen.link is None or before is None:
            window.append(seen)
            return
        if window:
            last = window[-1]
            following = self._agreement(last.chroma, seen.chroma, seen.link.backward)
            # The first of a shot has only this neighbor; any other may agree with either.
            weight = following if last.link is None else last.weight.clip(min=following)
            window[-1] = self._weighted(last, weight)
        weight = self._agreement(seen.chroma, before.chroma, seen.link.forward)
        window.append(self._weighted(seen, weight))

    def _weighted(self, seen: _Seen, weight: Planes) -> _Seen:
        sums = self._backend.cat([seen.chroma * weight, weight], 1)
        return seen._replace(weight=weight, sums=sums)

    def _agreement(self, chroma: Planes, neighbor: Planes, motion: Motion) -> Planes:
        """(1, 1, h, w) in [0, 1]: 1 where the neighbor has the same color, or cannot tell."""
        apart = squares(chroma - self._tracker.carry(neighbor, motion))
        agreement = 1 / (1 + apart / DISAGREEMENT**2)
        return 1 - motion.confidence * (1 - agreement)

    def _settle(self, window: deque[_Seen]) -> FilteredFrame:
        """Take the oldest frame out of the window, with its final colors."""
        seen = window.popleft()
        future = self._following(window, seen)
        past, gains = seen.sums, 0
        if seen.link is not None and self._state is not None:
            old = self._carry(self._state.past, seen.link.forward)
            past = past + old * self._standing(old, future + seen.sums, future[:, 2:])
            gains = self._state.gains
            gains = gains * (self.settings.history / gains[:, 1:]).clip(max=1)

        steady = _mean(past + future)
        height, width = seen.own.shape[2:]
        chroma = seen.own + self._backend.resize(steady - seen.chroma, (width, height))
        gain = _gain(seen.own, chroma)
        gains = gains + self._backend.cat([gain, gain * 0 + 1], 1)
        self._state = FilterState(seen.luma, seen.chroma, past, gains)
        chroma = (chroma * (gains[:, :1] / gains[:, 1:])).clip(-0.5, 0.5)
        return FilteredFrame(seen.pts, self._backend.tensor(chroma)[0], self._state)

    def _following(self, window: Iterable[_Seen], first: _Seen) -> Planes:
        """(1, 3, h, w): the sums of the shot's next frames, carried to the frame before them."""
        shot = []
        for seen in window:
            if seen.link is None:
                break
            shot.append(seen)
        sums = first.sums * 0
        for seen in reversed(shot):
            sums = self._carry(sums + seen.sums, seen.link.backward)
        return sums

    def _carry(self, sums: Planes, motion: Motion) -> Planes:
        return self._tracker.carry(sums, motion) * motion.confidence

    def _standing(self, past: Planes, future: Planes, seen: Planes) -> Planes:
        """(1, 1, h, w) in [0, 1]: how much of the past may count, being old or contradicted.

        One frame contradicts nothing; the more of the following that can be seen, the more.
        """
        aged = (self.settings.history / past[:, 2:].clip(min=1e-6)).clip(max=1)
        apart = squares(_mean(past) - _mean(future))
        sure = (seen / self.settings.lookahead).clip(max=1)
        return aged / (1 + sure * (apart / CONTRADICTION**2) ** 2)


def _is_cut(link: Link, score: float) -> bool:
    return link.explained < (EXPLAINED if score >= CUT_SCORE else UNEXPLAINED)


def _mean(sums: Planes) -> Planes:
    """(1, 3, h, w) -> (1, 2, h, w): Cb and Cr; gray where nothing was seen."""
    return sums[:, :2] / sums[:, 2:].clip(min=1e-6)


def _gain(before: Planes, after: Planes) -> Planes:
    """(1, 1, 1, 1): what chroma has to grow by to be nearly as colorful as it was."""
    lost = (_colorfulness(before) / _colorfulness(after).clip(min=1e-6)).clip(1, LARGEST_GAIN)
    return lost**GIVEN_BACK


def _colorfulness(chroma: Planes) -> Planes:
    """(1, 1, 1, 1): how far the colors spread and how far their mean is from gray, added up.

    After Hasler and Suesstrunk 2003, who give the mean less weight; with it whole, neither spread
    nor mean is far from what it was.
    """
    square = squares(chroma).mean((2, 3), keepdims=True)
    length = squares(chroma.mean((2, 3), keepdims=True))
    return (square - length).clip(min=0) ** 0.5 + length**0.5


def _grid(height: int, width: int) -> tuple[int, int]:
    """(width, height) of the grid for luma of this size."""
    scale = min(1, math.sqrt(LARGEST_GRID / (width * height)))
    return max(16, round(width * scale)), max(16, round(height * scale))
