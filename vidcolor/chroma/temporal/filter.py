"""The temporal filter: colored frames in, the same frames without flicker out."""

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

MAX_GRID_PIXELS = 512 * 512
"""Most pixels of the grid on which motion is estimated and chroma is accumulated. On a grid
smaller than chroma, flicker of fine detail remains."""

BATCH = 8
"""Frames per optical flow call: enough to keep a GPU busy, few enough for its memory."""

EXPLAINED_DESPITE_CUT = 0.6
"""Mean confidence from which the motion overrules a scene cut that is reported with a frame."""
MIN_EXPLAINED = 0.25
"""Mean confidence below which a new shot begins where no cut is reported."""

OUTLIER_DISTANCE = 0.08
"""Distance in chroma to both neighbors at which a frame's weight is halved."""
CONTRADICTION_DISTANCE = 0.1
"""Distance in chroma between past and following frames at which the past's weight is halved."""

MAX_GAIN = 1.2
"""Upper bound of the gain that restores saturation lost by averaging."""
RESTORED = 0.6
"""Exponent of the gain, below 1, since part of the lost saturation was flicker."""


class SmallFrame(NamedTuple):
    """One colored frame as the generator makes it."""

    pts: int
    """Timestamp in units of the film's time base."""
    luma: NDArray
    """(h, w) uint8, full range."""
    chroma: Tensor
    """(2, h', w') float32 in [-0.5, 0.5], on any device."""
    cut: bool
    """Whether a scene cut was found between this frame and the one before."""


class FilterState(NamedTuple):
    """All that is needed to continue after a frame."""

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
        """From what `arrays` gave. Raises ValueError for anything else."""
        channels = {"luma": 1, "chroma": 2, "past": 3, "gains": 2}
        if set(arrays) != set(channels):
            raise ValueError(f"a filter state has {', '.join(channels)}")
        for name, part in arrays.items():
            if part.shape[:2] != (1, channels[name]) or part.ndim != 4:
                raise ValueError(f"{name} has the shape {part.shape}")
            if part.dtype != np.float32 or not np.isfinite(part).all():
                raise ValueError(f"{name} does not hold finite numbers")
        return FilterState(**{name: torch.from_numpy(part) for name, part in arrays.items()})


class FilteredFrame(NamedTuple):
    """One frame with its filtered chroma."""

    pts: int
    chroma: Tensor
    """(2, h', w') float32 in [-0.5, 0.5], on the device of the filter's backend."""
    state: FilterState | None
    """To continue after this frame; None where smoothing is off."""


class _WindowFrame(NamedTuple):
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
    """Averages each frame's chroma with the past and the following frames of its shot.

    Frames are warped along the optical flow of luma and weighted by its confidence. The result
    depends on the frames alone, not on how they are batched, and a run that resumes from `state`
    gives what an uninterrupted one gives; on a CPU bit for bit.

    state: after the frame before the first one; None at the beginning of a film.
    backend: of the device that chroma is on; OpenCV on a CPU by default.
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
        """Yield one filtered frame per frame, delayed by up to `settings.lookahead` plus BATCH.

        All frames are of one size.
        """
        if self.settings.strength == "off":
            yield from (FilteredFrame(frame.pts, frame.chroma, None) for frame in frames)
            return
        frames = iter(frames)
        window: deque[_WindowFrame] = deque()
        while some := list(islice(frames, BATCH)):
            for frame in self._on_grid(some, window[-1] if window else self._state):
                self._append(window, frame)
                if len(window) > self.settings.lookahead:
                    yield self._filter_oldest(window)
        while window:
            yield self._filter_oldest(window)

    def _on_grid(
        self, frames: Sequence[SmallFrame], before: _WindowFrame | FilterState | None
    ) -> Iterator[_WindowFrame]:
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
            yield _WindowFrame(
                pts=frame.pts,
                own=own[one],
                luma=luma[one],
                chroma=chroma[one],
                link=None if link and _is_cut(link, frame.cut) else link,
                weight=weight[one],
                sums=sums[one],
            )

    def _append(self, window: deque[_WindowFrame], frame: _WindowFrame) -> None:
        """Append a frame, and weight it and its predecessor by how well they agree."""
        before = window[-1] if window else self._state
        if frame.link is None or before is None:
            window.append(frame)
            return
        if window:
            last = window[-1]
            following = self._agreement(last.chroma, frame.chroma, frame.link.backward)
            # The first of a shot has only this neighbor; any other may agree with either.
            weight = following if last.link is None else last.weight.clip(min=following)
            window[-1] = self._weighted(last, weight)
        weight = self._agreement(frame.chroma, before.chroma, frame.link.forward)
        window.append(self._weighted(frame, weight))

    def _weighted(self, frame: _WindowFrame, weight: Planes) -> _WindowFrame:
        sums = self._backend.cat([frame.chroma * weight, weight], 1)
        return frame._replace(weight=weight, sums=sums)

    def _agreement(self, chroma: Planes, neighbor: Planes, motion: Motion) -> Planes:
        """(1, 1, h, w) in [0, 1]: 1 where the neighbor has the same chroma or no confidence."""
        apart = squares(chroma - self._tracker.carry(neighbor, motion))
        agreement = 1 / (1 + apart / OUTLIER_DISTANCE**2)
        return 1 - motion.confidence * (1 - agreement)

    def _filter_oldest(self, window: deque[_WindowFrame]) -> FilteredFrame:
        """Remove the oldest frame from the window and return it with its filtered chroma."""
        frame = window.popleft()
        future = self._future_sums(window, frame)
        past, gains = frame.sums, 0
        if frame.link is not None and self._state is not None:
            old = self._carry(self._state.past, frame.link.forward)
            past = past + old * self._past_weight(old, future + frame.sums, future[:, 2:])
            gains = self._state.gains
            gains = gains * (self.settings.history / gains[:, 1:]).clip(max=1)

        mean = _mean(past + future)
        height, width = frame.own.shape[2:]
        chroma = frame.own + self._backend.resize(mean - frame.chroma, (width, height))
        gain = _gain(frame.own, chroma)
        gains = gains + self._backend.cat([gain, gain * 0 + 1], 1)
        self._state = FilterState(frame.luma, frame.chroma, past, gains)
        chroma = (chroma * (gains[:, :1] / gains[:, 1:])).clip(-0.5, 0.5)
        return FilteredFrame(frame.pts, self._backend.tensor(chroma)[0], self._state)

    def _future_sums(self, window: Iterable[_WindowFrame], first: _WindowFrame) -> Planes:
        """(1, 3, h, w): weighted sums of the shot's following frames, warped to the first."""
        shot = []
        for frame in window:
            if frame.link is None:
                break
            shot.append(frame)
        sums = first.sums * 0
        for frame in reversed(shot):
            sums = self._carry(sums + frame.sums, frame.link.backward)
        return sums

    def _carry(self, sums: Planes, motion: Motion) -> Planes:
        return self._tracker.carry(sums, motion) * motion.confidence

    def _past_weight(self, past: Planes, future: Planes, observed: Planes) -> Planes:
        """(1, 1, h, w) in [0, 1]: weight of the past, limited by `history` and lowered where the
        following frames contradict it.

        observed: (1, 1, h, w), total weight of the following frames; few of them contradict little.
        """
        limited = (self.settings.history / past[:, 2:].clip(min=1e-6)).clip(max=1)
        apart = squares(_mean(past) - _mean(future))
        sure = (observed / self.settings.lookahead).clip(max=1)
        return limited / (1 + sure * (apart / CONTRADICTION_DISTANCE**2) ** 2)


def _is_cut(link: Link, reported: bool) -> bool:
    return link.explained < (EXPLAINED_DESPITE_CUT if reported else MIN_EXPLAINED)


def _mean(sums: Planes) -> Planes:
    """(1, 3, h, w) -> (1, 2, h, w): Cb and Cr; gray where the weight is 0."""
    return sums[:, :2] / sums[:, 2:].clip(min=1e-6)


def _gain(before: Planes, after: Planes) -> Planes:
    """(1, 1, 1, 1): the gain that restores most of the saturation lost by averaging."""
    lost = (_colorfulness(before) / _colorfulness(after).clip(min=1e-6)).clip(1, MAX_GAIN)
    return lost**RESTORED


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
    scale = min(1, math.sqrt(MAX_GRID_PIXELS / (width * height)))
    return max(16, round(width * scale)), max(16, round(height * scale))
