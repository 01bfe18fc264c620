"""All of a film's frames on their way from the file to the encoder, stage by stage."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidcolor import color
from vidcolor.ahead import ahead
from vidcolor.colorizer import Colorizer
from vidcolor.device import is_out_of_memory
from vidcolor.errors import DeviceError, MediaError
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.merge import chroma_size
from vidcolor.media.probe import Film
from vidcolor.media.read import LumaFrame, read_luma
from vidcolor.pieces import PieceSettings, PieceStore, in_pieces, tail_of
from vidcolor.steady.backend import backend_for
from vidcolor.steady.settings import SmoothSettings
from vidcolor.steady.steadier import Memory, SmallFrame, Steadier
from vidcolor.upsample import upsample


class ColoredFrame(NamedTuple):
    """One frame with its colours."""

    piece: int
    """Number of the piece that it belongs to."""
    luma: LumaFrame
    """As it was read."""
    chroma: Tensor
    """(2, h, w) float32 BT.601 chroma in [-0.5, 0.5], on the work's device."""
    memory: Memory | None = None
    """What smoothing needs to go on after this frame in another run."""


class EncodedFrame(NamedTuple):
    """One coloured frame on its way to the encoder."""

    piece: int
    luma: LumaFrame
    chroma: np.ndarray
    """(2, h, w) uint8 code values of Cb and Cr."""
    memory: Memory | None
    """As of the coloured frame."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """All that a film is coloured with."""

    film: Film
    colorizer: Colorizer
    encode: EncodeSettings
    """Made complete."""
    smooth: SmoothSettings
    pieces: PieceSettings
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
    work: Work, store: PieceStore, warn: Callable[[str], object]
) -> Generator[EncodedFrame, None, None]:
    """All frames after those that `store` has: read, coloured, steadied and in code values.

    Four threads abreast; the last of them is the caller's own.
    """
    settings = work.pieces if store.manifest.seekable else None
    memory = Memory.of(store.memory) if store.memory else None
    with read_on(work, store, warn) as frames:
        numbered = in_pieces(frames, work.film.time_base, settings, len(store.pieces))
        batches = ahead(in_batches(numbered, work.colorizer))
        colored = ahead(color_batches(batches, work))
        with closing(ahead(steadied(colored, work, memory))) as steady:
            yield from in_codes(steady, work)


@contextmanager
def read_on(
    work: Work, store: PieceStore, warn: Callable[[str], object]
) -> Iterator[Iterator[LumaFrame]]:
    """The luma of all frames after those that `store` has.

    A run that goes on jumps to the last of them and compares what it finds there with what was
    read then; where that differs, it decodes the film from its beginning instead.
    """
    film, tail = work.film, store.tail
    read = partial(read_luma, film, work.size, end=work.end, guide=work.guide, warn=warn)
    with ExitStack() as stack:
        if tail and store.manifest.seekable:
            frames = stack.enter_context(read(start=since_start(film, tail[0][0])))
            if tail_of(islice(frames, len(tail))) == tail:
                yield frames
                return
            stack.close()
        frames = stack.enter_context(read(start=work.start))
        skip(frames, store.manifest.frames, tail, film)
        yield frames


def skip(
    frames: Iterator[LumaFrame], count: int, tail: tuple[tuple[int, int], ...], film: Film
) -> None:
    """Pass over the frames that are finished. Raises MediaError where they are not those."""
    if not count:
        return
    last = deque(islice(frames, count), maxlen=len(tail))
    # Damaged pictures differ from one decoding to the next; their times do not.
    if [frame.pts for frame in last] != [pts for pts, _ in tail]:
        raise MediaError(f"{film.path} is not decoded as it was before; add --fresh to start over")


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
            chroma = work.colorizer.chroma(luma).to(work.device)
            yield [ColoredFrame(piece, *pair) for pair in zip(batch, chroma, strict=True)]


def steadied(
    batches: Generator[list[ColoredFrame], None, None], work: Work, memory: Memory | None
) -> Iterator[ColoredFrame]:
    """The same frames with colours that do not flicker; some frames behind."""
    waiting: deque[ColoredFrame] = deque()

    def small(frame: ColoredFrame) -> SmallFrame:
        waiting.append(frame)
        luma = frame.luma
        return SmallFrame(luma.pts, luma.pixels, frame.chroma, luma.cut_score)

    with closing(batches):
        frames = map(small, chain.from_iterable(batches))
        steadier = Steadier(work.smooth, memory, backend_for(work.device))
        try:
            for steady in steadier.run(frames):
                yield waiting.popleft()._replace(chroma=steady.chroma, memory=steady.memory)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                "memory ran out while colours were steadied; use a smaller --batch-size or "
                "--smooth off"
            ) from error


def in_codes(frames: Iterable[ColoredFrame], work: Work) -> Iterator[EncodedFrame]:
    """Chroma to code values of the film's own matrix and range, at full size if guided."""
    film = work.film
    for piece, luma, chroma, memory in frames:
        own = color.between_matrices(chroma[None], film.matrix)
        if luma.guide is not None:
            guide = torch.from_numpy(luma.guide)[None, None].to(work.device)
            own = upsample(own, guide)
        codes = color.to_codes(own, film.full_range)
        yield EncodedFrame(piece, luma, codes[0].cpu().numpy(), memory)


def since_start(film: Film, pts: int) -> float:
    """Seconds from the film's beginning."""
    return float(pts * film.time_base) - (film.start or 0.0)
