"""The stages between reading a film's luma and encoding its chroma."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from vidcolor.chroma import matrices
from vidcolor.chroma.bars import neutral_bars
from vidcolor.chroma.temporal.backend import backend_for
from vidcolor.chroma.temporal.filter import BATCH, FilterState, SmallFrame, TemporalFilter
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.chroma.upsample import enlarged_codes
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.device import enough_memory
from vidcolor.media.carrier import carries_luma
from vidcolor.media.containers import EncodeSettings, merged_format
from vidcolor.media.merge import chroma_size
from vidcolor.media.probe import Film
from vidcolor.media.read import CUT_SCORE, LumaFrame
from vidcolor.prefetch import prefetch

WAITING_BATCHES = 10
"""Batches that are between the decoder and the encoder, at most: five stages hold one and have
handed on another."""


MEMORY_SHARE = 0.25
"""Share of the machine's memory that their luma may take."""


class ColoredFrame(NamedTuple):
    """One frame with its colors."""

    piece: int
    """Number of the piece that it belongs to."""
    luma: LumaFrame
    """As it was read."""
    chroma: Tensor
    """(2, h, w) float32 BT.601 chroma in [-0.5, 0.5], on the colorizer's `chroma_device`."""
    begins_batch: bool
    """Whether it is the first frame of a batch."""
    state: FilterState | None = None
    """What smoothing needs to continue after this frame in another run."""


class EncodedFrame(NamedTuple):
    """One frame as the encoder takes it."""

    piece: int
    luma: LumaFrame
    chroma: np.ndarray
    """(2, h, w) uint8 code values of Cb and Cr."""
    begins_batch: bool
    """As of the colored frame."""
    state: FilterState | None
    """As of the colored frame."""


class Control(Protocol):
    """What a person says about the colors of one planned piece."""

    @property
    def digest(self) -> str:
        """Text that differs where the colors may; a piece is made again when it changes."""
        ...

    def hints(self, luma: Sequence[LumaFrame]) -> Tensor | None:
        """Colors that are given to the network with these frames, as `Colorizer.chroma` takes
        them; None where there are none."""
        ...

    def adjust(self, chroma: Tensor, luma: Tensor) -> Tensor:
        """The network's colors (B, 2, h, w) of a batch, changed point by point.

        luma: (B, 1, h', w') uint8, what the network was given.
        """
        ...

    def carry(self, frames: Iterator[ColoredFrame]) -> Iterator[ColoredFrame]:
        """All frames of the piece with other colors, in the same order, before they are filtered
        over time. It may look at as many following frames as it needs."""
        ...


@dataclass(frozen=True, kw_only=True)
class Work:
    """A film, its colorizer and its settings."""

    film: Film
    colorizer: Colorizer
    encode: EncodeSettings
    """With all defaults filled in."""
    smooth: SmoothSettings
    edges: str
    start: float | None = None
    end: float | None = None
    control: Control | None = None
    """Of the piece that is made; None where nobody says anything about it."""
    look: Callable[["EncodedFrame"], object] = lambda frame: None
    """Called with every frame before it is encoded, to show it; may not change it."""

    @property
    def trial(self) -> bool:
        """Whether only a part of the film is colored."""
        return self.start is not None or self.end is not None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the luma that the colorizer takes."""
        film = self.film
        return self.colorizer.luma_size(float(film.width * film.sample_aspect), film.height)

    @property
    def full(self) -> int | None:
        """Bits of the film's own luma that is read beside the small one and goes to the encoder.

        None where the encoder decodes the film once more instead: because it needs what only the
        film's frames have, or because the frames that wait for their colors would need too much
        memory.
        """
        if self.control is not None or not carries_luma(self.film, self.encode):
            return None
        depth = merged_format(self.encode).depth
        frame = self.film.width * self.film.height * (1 if depth == 8 else 2)
        waiting = WAITING_BATCHES * self.colorizer.batch_size + BATCH + self.smooth.lookahead
        return depth if waiting * frame <= memory_to_wait() else None

    @property
    def guide(self) -> tuple[int, int] | None:
        """(width, height) of the luma along whose edges chroma is enlarged, if it is."""
        if self.edges == "bilinear":
            return None
        return chroma_size(self.film, self.encode)


def memory_to_wait() -> int:
    """Bytes that luma on its way to the encoder may take."""
    if not hasattr(os, "sysconf"):
        return 2**30
    return int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def encoded_frames(
    frames: Iterator[tuple[int, LumaFrame]],
    work: Work,
    state: FilterState | None = None,
    *,
    stop: Callable[[], object] = lambda: None,
) -> Generator[EncodedFrame, None, None]:
    """Numbered frames of luma, colored, filtered over time and in code values.

    As for `colored_frames`; code values are made in one more thread.
    """
    filtered = _filtered(frames, work.colorizer, work.smooth, state, work.control)
    with closing(prefetch(in_codes(filtered, work), 1, stop=stop)) as coded:
        for frame in chain.from_iterable(coded):
            work.look(frame)
            yield frame


def colored_frames(
    frames: Iterator[tuple[int, LumaFrame]],
    colorizer: Colorizer,
    smooth: SmoothSettings,
    state: FilterState | None = None,
    *,
    stop: Callable[[], object] = lambda: None,
    control: Control | None = None,
) -> Generator[ColoredFrame, None, None]:
    """Numbered frames of luma, colored and filtered over time.

    frames: (piece, luma), in the order of the film.
    state: of the temporal filter after the frame before the first one.
    stop: ends what `frames` are read from, so that no thread waits for it; see `prefetch`.
    control: changes the colors; all frames are then of one piece.
    Reading, coloring and filtering run in a thread each.
    """
    some = _filtered(frames, colorizer, smooth, state, control, stop=stop)
    with closing(some):
        yield from chain.from_iterable(some)


def _filtered(
    frames: Iterator[tuple[int, LumaFrame]],
    colorizer: Colorizer,
    smooth: SmoothSettings,
    state: FilterState | None,
    control: Control | None,
    stop: Callable[[], object] = lambda: None,
) -> Generator[list[ColoredFrame], None, None]:
    """As `colored_frames`, several at a time: no thread waits for single frames."""
    batches = prefetch(in_batches(frames, colorizer), 1)
    colored = prefetch(color_batches(batches, colorizer, control), 1)
    smoothed = filtered(colored, colorizer.chroma_device, smooth, state, control)
    return prefetch(_together(smoothed, colorizer), 1, stop=stop)


def _together(
    frames: Generator[ColoredFrame, None, None], colorizer: Colorizer
) -> Iterator[list[ColoredFrame]]:
    with closing(frames):
        while some := list(islice(frames, colorizer.batch_size)):
            yield some


def in_batches(
    frames: Iterator[tuple[int, LumaFrame]], colorizer: Colorizer
) -> Iterator[tuple[int, list[LumaFrame]]]:
    """(piece, frames): as many as the colorizer's batch size at that moment, never of two pieces.

    A run that continues at the beginning of a piece therefore makes the same batches.
    """
    for piece, group in groupby(frames, lambda numbered: numbered[0]):
        while batch := [frame for _, frame in islice(group, colorizer.batch_size)]:
            yield piece, batch


def color_batches(
    batches: Generator[tuple[int, list[LumaFrame]], None, None],
    colorizer: Colorizer,
    control: Control | None = None,
) -> Iterator[list[ColoredFrame]]:
    """Luma to chroma."""
    with closing(batches):
        for piece, batch in batches:
            luma = torch.from_numpy(np.stack([frame.pixels for frame in batch])[:, None])
            chroma = _colors(luma, batch, colorizer, control).to(colorizer.chroma_device)
            with enough_memory("bars were made neutral", "use a smaller --batch-size"):
                chroma = neutral_bars(chroma, luma)
            yield [
                ColoredFrame(piece, frame, own, begins_batch=number == 0)
                for number, (frame, own) in enumerate(zip(batch, chroma, strict=True))
            ]


def _colors(
    luma: Tensor, batch: Sequence[LumaFrame], colorizer: Colorizer, control: Control | None
) -> Tensor:
    if control is None:
        return colorizer.chroma(luma)
    return control.adjust(colorizer.chroma(luma, control.hints(batch)), luma)


def filtered(
    batches: Generator[list[ColoredFrame], None, None],
    device: torch.device,
    smooth: SmoothSettings,
    state: FilterState | None,
    control: Control | None = None,
) -> Generator[ColoredFrame, None, None]:
    """The same frames, up to `smooth.lookahead` later, with smoothed colors."""
    waiting: deque[ColoredFrame] = deque()

    def small(frame: ColoredFrame) -> SmallFrame:
        waiting.append(frame)
        luma = frame.luma
        cut = luma.cut_score >= CUT_SCORE
        return SmallFrame(luma.pts, luma.pixels, frame.chroma, cut)

    with closing(batches):
        colored = chain.from_iterable(batches)
        frames = map(small, control.carry(colored) if control else colored)
        with enough_memory("colors were filtered over time", "use --smooth off"):
            temporal_filter = TemporalFilter(smooth, state, backend_for(device))
            for done in temporal_filter.run(frames):
                yield waiting.popleft()._replace(chroma=done.chroma, state=done.state)


def in_codes(
    batches: Generator[list[ColoredFrame], None, None], work: Work
) -> Iterator[list[EncodedFrame]]:
    """Chroma to code values of the film's own matrix and range, at full size if guided."""
    with closing(batches):
        for frames in batches:
            chroma = torch.stack([frame.chroma for frame in frames])
            guides = [frame.luma.guide for frame in frames if frame.luma.guide is not None]
            with enough_memory("colors were enlarged", "use --edges bilinear"):
                own = matrices.between_matrices(chroma, work.film.matrix)
                if guides:
                    luma = [torch.from_numpy(guide) for guide in guides]
                    codes = enlarged_codes(own, luma, work.film.full_range)
                else:
                    codes = matrices.to_codes(own, work.film.full_range)
                codes = codes.cpu().numpy()
            yield [
                EncodedFrame(frame.piece, frame.luma, code, frame.begins_batch, frame.state)
                for frame, code in zip(frames, codes, strict=True)
            ]
