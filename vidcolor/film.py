"""One film, path to path: probe, decode, colour, encode piece by piece, join, publish."""

import errno
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from vidcolor import __version__, color
from vidcolor.ahead import ahead
from vidcolor.colorizer import Colorizer
from vidcolor.errors import MediaError
from vidcolor.manifest import Manifest, identity, plain
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.join import join
from vidcolor.media.merge import chroma_size
from vidcolor.media.probe import Film, probe
from vidcolor.media.process import EndedEarly
from vidcolor.media.publish import work_folder
from vidcolor.media.read import LumaFrame, read_luma
from vidcolor.media.target import check_target
from vidcolor.media.write import write_piece
from vidcolor.pieces import TAIL, PieceSettings, PieceStore, in_pieces, open_pieces, tail_of
from vidcolor.steady.settings import SmoothSettings
from vidcolor.steady.steadier import Memory, SmallFrame, Steadier
from vidcolor.upsample import upsample


class ColoredFrame(NamedTuple):
    """One frame with its colours."""

    piece: int
    """Number of the piece that it belongs to."""
    luma: LumaFrame
    """As it was read."""
    chroma: np.ndarray
    """(2, h, w) float32 BT.601 chroma in [-0.5, 0.5]."""
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


@dataclass(frozen=True)
class Report:
    """What became of a film."""

    target: Path
    frames: int
    seconds: float
    """Wall time of the whole way, of this run."""
    warnings: tuple[str, ...]
    kept: int = 0
    """So many of the frames were there already, from an earlier run."""


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


def colorize_film(
    source: Path,
    target: Path,
    colorizer: Colorizer,
    encode: EncodeSettings | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    deinterlace: bool = False,
    smooth: SmoothSettings | None = None,
    pieces: PieceSettings | None = None,
    fresh: bool = False,
    on_frame: Callable[[int, int | None], None] = lambda done, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Report:
    """Colour a film and publish it under `target`, which is replaced if it exists.

    start, end: seconds from the film's beginning; only this stretch is coloured and kept.
    deinterlace: make one picture of the two fields of interlaced frames.
    pieces: how the film is divided; whatever stops the run, the pieces that were finished stay in
    a hidden folder beside `target`, and the same call goes on after them.
    fresh: forget what an earlier run has finished.
    on_frame(done, total) is called after every frame; total is an estimate, or None.
    on_note(line) is told when the run goes on after an earlier one, or why it starts over.
    The film appears under its name only when it is complete. A stretch leaves nothing else behind.
    Raises MediaError (with the remedy) and DeviceError.
    """
    started = time.monotonic()
    film = probe(source, deinterlace=deinterlace)
    encode = check_target(film, target, encode or EncodeSettings())
    work = Work(
        film=film,
        colorizer=colorizer,
        encode=encode,
        smooth=smooth or SmoothSettings(),
        pieces=pieces or PieceSettings(),
        start=start,
        end=end,
    )
    total = expected_frames(film, start, end)
    warnings: list[str] = []
    with _watched(target), _open_store(work, target, total, fresh, on_note) as store:
        kept = store.manifest.frames
        if kept:
            on_note(f"going on after {kept} frames of an earlier run")
            on_frame(kept, total)
        make_pieces(work, store, on_frame=lambda done: on_frame(done, total), warn=warnings.append)
        warnings += join(film, store.pieces, target, start=start, end=end)
        frames = store.manifest.frames
    seconds = time.monotonic() - started
    # A piece that is begun anew finds the same damage again.
    return Report(target, frames, seconds, tuple(dict.fromkeys(warnings)), kept)


def make_pieces(
    work: Work,
    store: PieceStore,
    *,
    on_frame: Callable[[int], None],
    warn: Callable[[str], object],
) -> None:
    """Colour and encode every piece that `store` does not have."""
    while not store.manifest.complete:
        try:
            with closing(encoded_frames(work, store, warn)) as frames:
                for _, piece in groupby(frames, attrgetter("piece")):
                    make_piece(work, store, piece, on_frame)
            store.complete()
        except EndedEarly:
            # The encoder's jump to the piece met other frames than a decoder that comes from the
            # beginning. What is finished is right; the rest becomes one piece, without a jump.
            if not store.manifest.seekable or not store.pieces:
                raise
            store.give_up_seeking()


def make_piece(
    work: Work,
    store: PieceStore,
    frames: Iterable[EncodedFrame],
    on_frame: Callable[[int], None],
) -> None:
    """Encode one piece and keep it."""
    frames = iter(frames)
    first = next(frames)
    height, width = first.chroma.shape[1:]
    done = store.manifest.frames
    start = since_start(work.film, first.luma.pts) if store.manifest.seekable else None
    path = store.scratch / "piece"
    last: deque[LumaFrame] = deque(maxlen=TAIL)
    memory = first.memory
    with write_piece(work.film, path, (width, height), work.encode, start=start) as writer:
        for frame in chain([first], frames):
            writer.write(frame.luma.pts, frame.chroma)
            last.append(frame.luma)
            memory = frame.memory
            on_frame(done + writer.frames)
    store.keep(writer.piece, last, memory._asdict() if memory else {})


def encoded_frames(
    work: Work, store: PieceStore, warn: Callable[[str], object]
) -> Generator[EncodedFrame, None, None]:
    """All frames after those that `store` has: read, coloured, steadied and in code values.

    Four threads abreast; the last of them is the caller's own.
    """
    settings = work.pieces if store.manifest.seekable else None
    memory = Memory(**store.memory) if store.memory else None
    with read_on(work, store, warn) as frames:
        numbered = in_pieces(frames, work.film.time_base, settings, len(store.pieces))
        batches = ahead(in_batches(numbered, work.colorizer))
        colored = ahead(color_batches(batches, work.colorizer))
        with closing(ahead(steadied(colored, work.smooth, memory))) as steady:
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
    batches: Generator[tuple[int, list[LumaFrame]], None, None], colorizer: Colorizer
) -> Iterator[list[ColoredFrame]]:
    """Luma to chroma."""
    with closing(batches):
        for piece, batch in batches:
            luma = torch.from_numpy(np.stack([frame.pixels for frame in batch])[:, None])
            chroma = colorizer.chroma(luma).numpy()
            yield [ColoredFrame(piece, *pair) for pair in zip(batch, chroma, strict=True)]


def steadied(
    batches: Generator[list[ColoredFrame], None, None],
    settings: SmoothSettings,
    memory: Memory | None,
) -> Iterator[ColoredFrame]:
    """The same frames with colours that do not flicker; some frames behind."""
    waiting: deque[ColoredFrame] = deque()

    def small(frame: ColoredFrame) -> SmallFrame:
        waiting.append(frame)
        luma = frame.luma
        return SmallFrame(luma.pts, luma.pixels, frame.chroma, luma.cut_score)

    with closing(batches):
        frames = map(small, chain.from_iterable(batches))
        for steady in Steadier(settings, memory).run(frames):
            yield waiting.popleft()._replace(chroma=steady.chroma, memory=steady.memory)


def in_codes(frames: Iterable[ColoredFrame], work: Work) -> Iterator[EncodedFrame]:
    """Chroma to code values of the film's own matrix and range, at full size if guided."""
    film, device = work.film, work.colorizer.device
    for piece, luma, chroma, memory in frames:
        own = color.between_matrices(torch.from_numpy(chroma)[None].to(device), film.matrix)
        if luma.guide is not None:
            guide = torch.from_numpy(luma.guide)[None, None].to(device)
            own = upsample(own, guide)
        codes = color.to_codes(own, film.full_range)
        yield EncodedFrame(piece, luma, codes[0].cpu().numpy(), memory)


def since_start(film: Film, pts: int) -> float:
    """Seconds from the film's beginning."""
    return float(pts * film.time_base) - (film.start or 0.0)


def expected_frames(film: Film, start: float | None, end: float | None) -> int | None:
    """How many frames progress should expect; None where the film does not tell."""
    if film.frame_count is None or (start is None and end is None):
        return film.frame_count
    if not film.duration or not film.frame_rate:
        return None
    seconds = min(end or film.duration, film.duration) - (start or 0)
    return max(1, round(seconds * film.frame_rate))


def settings_of(work: Work) -> dict[str, Any]:
    """Everything beside the source that the pieces depend on."""
    colorizer = work.colorizer
    render = replace(colorizer.settings, render_factor=colorizer.render_factor, batch_size=None)
    return plain(
        {
            "vidcolor": __version__,
            "ffmpeg": [str(find_ffmpeg().path), find_ffmpeg().version],
            "model": colorizer.fingerprint,
            "device": colorizer.device.type,
            **asdict(render),
            "precision": str(colorizer.dtype),
            **asdict(work.encode),
            "deinterlace": work.film.deinterlace,
            **asdict(work.smooth),
            "piece length": asdict(work.pieces),
        }
    )


def _open_store(
    work: Work, target: Path, total: int | None, fresh: bool, on_note: Callable[[str], None]
) -> AbstractContextManager[PieceStore]:
    """Where the pieces lie until they are joined: for a trial, in a folder that always goes."""
    if work.trial:
        return _trial_store(work, target)
    manifest = Manifest(
        source=identity(work.film.path),
        target=target.name,
        settings=settings_of(work),
        total=total,
    )
    return open_pieces(target, manifest, fresh=fresh, on_note=on_note)


@contextmanager
def _trial_store(work: Work, target: Path) -> Iterator[PieceStore]:
    with work_folder(target.parent) as folder:
        scratch = folder / "run"
        scratch.mkdir()
        manifest = Manifest(source={}, target=target.name, settings={}, total=None)
        yield PieceStore(folder, manifest, scratch)


@contextmanager
def _watched(target: Path) -> Iterator[None]:
    """Say in one line that the folder is gone or the disk full, whoever finds out first."""
    try:
        yield
    except (OSError, MediaError) as error:
        if not target.parent.is_dir():
            raise MediaError(
                f"cannot write {target}: its folder is gone; make it again, or give another "
                "--output"
            ) from error
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise MediaError(
                f"cannot write {target}: no space left there; free some and try again"
            ) from error
        raise
