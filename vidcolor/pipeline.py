"""All of a film's frames on their way from the file to the encoder, stage by stage."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidcolor.chroma import matrices
from vidcolor.chroma.bars import neutral_bars
from vidcolor.chroma.temporal.backend import backend_for
from vidcolor.chroma.temporal.filter import FilterState, SmallFrame, TemporalFilter
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.chroma.upsample import upsample
from vidcolor.errors import DeviceError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.device import is_out_of_memory
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.merge import chroma_size
from vidcolor.media.probe import Film
from vidcolor.media.read import LumaFrame
from vidcolor.prefetch import prefetch


class ColoredFrame(NamedTuple):
    """One frame with its colors."""

    piece: int
    """Number of the piece that it belongs to."""
    luma: LumaFrame
    """As it was read."""
    chroma: Tensor
    """(2, h, w) float32 BT.601 chroma in [-0.5, 0.5], on the work's device."""
    begins_batch: bool
    """First of those that the colorizer was given together."""
    state: FilterState | None = None
    """What smoothing needs to go on after this frame in another run."""


class EncodedFrame(NamedTuple):
    """One colored frame on its way to the encoder."""

    piece: int
    luma: LumaFrame
    chroma: np.ndarray
    """(2, h, w) uint8 code values of Cb and Cr."""
    begins_batch: bool
    """As of the colored frame."""
    state: FilterState | None
    """As of the colored frame."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """All that a film is colored with."""

    film: Film
    colorizer: Colorizer
    encode: EncodeSettings
    """Made complete."""
    smooth: SmoothSettings
    start: float | None
    end: float | None

    @property
    def trial(self) -> bool:
        """Only a stretch of the film is wanted."""
        return self.start is not None or self.end is not None

    @property
    def device(self) -> torch.device:
        """Where chroma is steadied and enlarged: where CUDA made it; else on the CPU, since torch
        cannot be trusted with several threads on MPS.
        """
        device = self.colorizer.device
        return device if device.type == "cuda" else torch.device("cpu")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the luma that the colorizer wants."""
        film = self.film
        return self.colorizer.luma_size(float(film.width * film.sample_aspect), film.height)

    @property
    def guide(self) -> tuple[int, int] | None:
        """(width, height) of the luma along whose edges chroma is enlarged, if it is."""
        if self.colorizer.settings.edges == "bilinear":
            return None
        return chroma_size(self.film, self.encode)


def encoded_frames(
    frames: Iterator[tuple[int, LumaFrame]], work: Work, state: FilterState | None = None
) -> Generator[EncodedFrame, None, None]:
    """Numbered frames of luma, colored, filtered over time and in code values.

    frames: (piece, luma), in the order of the film.
    state: of the temporal filter after the frame before the first one.
    Reading, coloring and filtering run in threads of their own, the rest in the caller's.
    """
    batches = prefetch(in_batches(frames, work.colorizer))
    colored = prefetch(color_batches(batches, work))
    with closing(prefetch(steadied(colored, work, state))) as filtered:
        yield from in_codes(filtered, work)


def in_batches(
    frames: Iterator[tuple[int, LumaFrame]], colorizer: Colorizer
) -> Iterator[tuple[int, list[LumaFrame]]]:
    """(piece, frames): as many as the colorizer wants at that moment, never of two pieces.

    A run that goes on at the beginning of a piece so makes the very same batches.
    """
    for piece, group in groupby(frames, lambda numbered: numbered[0]):
        while batch := [frame for _, frame in islice(group, colorizer.batch_size)]:
            yield piece, batch


def color_batches(
    batches: Generator[tuple[int, list[LumaFrame]], None, None], work: Work
) -> Iterator[list[ColoredFrame]]:
    """Luma to chroma."""
    with closing(batches):
        for piece, batch in batches:
            luma = torch.from_numpy(np.stack([frame.pixels for frame in batch])[:, None])
            chroma = neutral_bars(work.colorizer.chroma(luma).to(work.device), luma)
            yield [
                ColoredFrame(piece, frame, own, begins_batch=number == 0)
                for number, (frame, own) in enumerate(zip(batch, chroma, strict=True))
            ]


def steadied(
    batches: Generator[list[ColoredFrame], None, None], work: Work, state: FilterState | None
) -> Iterator[ColoredFrame]:
    """The same frames with colors that do not flicker; some frames behind."""
    waiting: deque[ColoredFrame] = deque()

    def small(frame: ColoredFrame) -> SmallFrame:
        waiting.append(frame)
        luma = frame.luma
        return SmallFrame(luma.pts, luma.pixels, frame.chroma, luma.cut_score)

    with closing(batches):
        frames = map(small, chain.from_iterable(batches))
        temporal_filter = TemporalFilter(work.smooth, state, backend_for(work.device))
        try:
            for steady in temporal_filter.run(frames):
                yield waiting.popleft()._replace(chroma=steady.chroma, state=steady.state)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                "memory ran out while colors were steadied; use a smaller --batch-size or "
                "--smooth off"
            ) from error


def in_codes(frames: Iterable[ColoredFrame], work: Work) -> Iterator[EncodedFrame]:
    """Chroma to code values of the film's own matrix and range, at full size if guided."""
    film = work.film
    for piece, luma, chroma, begins_batch, state in frames:
        own = matrices.between_matrices(chroma[None], film.matrix)
        if luma.guide is not None:
            guide = torch.from_numpy(luma.guide)[None, None].to(work.device)
            own = upsample(own, guide)
        codes = matrices.to_codes(own, film.full_range)
        yield EncodedFrame(piece, luma, codes[0].cpu().numpy(), begins_batch, state)
