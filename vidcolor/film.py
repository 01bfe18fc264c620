"""One film, path to path: probe, decode, color, encode piece by piece, join, publish."""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from vidcolor import __version__
from vidcolor.chroma.temporal.filter import FilterState
from vidcolor.errors import MediaError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.join import join
from vidcolor.media.probe import Film, probe
from vidcolor.media.process import EndedEarly
from vidcolor.media.publish import work_folder
from vidcolor.media.read import LumaFrame
from vidcolor.media.target import check_target
from vidcolor.media.write import write_piece
from vidcolor.pipeline import EncodedFrame, Work, encoded_frames
from vidcolor.resume.manifest import Manifest, identity, plain
from vidcolor.resume.reading import read_on, since_start
from vidcolor.resume.store import TAIL, PieceSettings, PieceStore, in_pieces, open_pieces
from vidcolor.settings import FilmSettings


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


def colorize_film(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    colorizer: Colorizer,
    settings: FilmSettings | None = None,
    *,
    on_frame: Callable[[int, int | None], None] = lambda done, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Report:
    """Color a film and publish it under `target`, which is replaced if it exists.

    settings: how it is read, filtered, encoded and resumed; the defaults where there are none.
    on_frame(done, total) is called after every frame; total is an estimate, or None.
    on_note(line) is told when the run goes on after an earlier one, or why it starts over.
    The film appears under its name only when it is complete. Whatever stops the run, what it has
    finished stays in a hidden folder beside `target`, and the same call goes on after it; with a
    start or an end, nothing is kept.
    Raises MediaError (with the remedy) and DeviceError.
    """
    started = time.monotonic()
    source, target = Path(source), Path(target)
    settings = settings or FilmSettings()
    start, end, pieces = settings.start, settings.end, settings.pieces
    film = probe(source, deinterlace=settings.deinterlace)
    encode = check_target(film, target, settings.encode)
    work = Work(
        film=film,
        colorizer=colorizer,
        encode=encode,
        smooth=settings.smooth,
        start=start,
        end=end,
    )
    total = expected_frames(film, start, end)
    manifest = Manifest(
        source=identity(source),
        target=target.name,
        settings=settings_of(work, pieces),
        total=total,
    )
    warnings: list[str] = []
    with _watched(target), _open_store(work, target, manifest, settings.fresh, on_note) as store:
        kept = store.manifest.frames
        if kept:
            on_note(f"going on after {kept} frames of an earlier run")
            on_frame(kept, total)
        make_pieces(
            work, pieces, store, on_frame=lambda done: on_frame(done, total), warn=warnings.append
        )
        warnings += join(film, store.pieces, target, start=start, end=end)
        frames = store.manifest.frames
    seconds = time.monotonic() - started
    # A piece that is begun anew finds the same damage again.
    return Report(target, frames, seconds, tuple(dict.fromkeys(warnings)), kept)


def make_pieces(
    work: Work,
    pieces: PieceSettings,
    store: PieceStore,
    *,
    on_frame: Callable[[int], None],
    warn: Callable[[str], object],
) -> None:
    """Color and encode every piece that `store` does not have."""
    while not store.manifest.complete:
        state = FilterState.of(store.state) if store.state else None
        try:
            with (
                read_on(
                    work.film,
                    store,
                    work.size,
                    guide=work.guide,
                    start=work.start,
                    end=work.end,
                    warn=warn,
                ) as luma,
                closing(
                    encoded_frames(_numbered(luma, work, pieces, store), work, state)
                ) as frames,
            ):
                for _, piece in groupby(frames, attrgetter("piece")):
                    make_piece(work, store, piece, on_frame)
            store.complete()
        except EndedEarly:
            # The encoder's jump to the piece met other frames than a decoder that comes from the
            # beginning. What is finished is right; the rest becomes one piece, without a jump.
            if not store.manifest.seekable or not store.pieces:
                raise
            store.give_up_seeking()


def _numbered(
    luma: Iterator[LumaFrame], work: Work, pieces: PieceSettings, store: PieceStore
) -> Iterator[tuple[int, LumaFrame]]:
    """Every frame with the number of its piece; a film that cannot be entered is one piece."""
    settings = pieces if store.manifest.seekable else None
    return in_pieces(luma, work.film.time_base, settings, len(store.pieces))


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
    state = first.state
    with write_piece(work.film, path, (width, height), work.encode, start=start) as writer:
        for frame in chain([first], frames):
            writer.write(frame.luma.pts, frame.chroma)
            last.append(frame.luma)
            state = frame.state
            on_frame(done + writer.frames)
    store.keep(writer.piece, last, state.arrays() if state else {})


def expected_frames(film: Film, start: float | None, end: float | None) -> int | None:
    """How many frames progress should expect; None where the film does not tell."""
    if film.frame_count is None or (start is None and end is None):
        return film.frame_count
    if not film.duration or not film.frame_rate:
        return None
    seconds = min(end or film.duration, film.duration) - (start or 0)
    return max(1, round(seconds * film.frame_rate))


def settings_of(work: Work, pieces: PieceSettings) -> dict[str, Any]:
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
            "smooth": work.smooth.strength,
            "piece length": asdict(pieces),
        }
    )


def _open_store(
    work: Work, target: Path, manifest: Manifest, fresh: bool, on_note: Callable[[str], None]
) -> AbstractContextManager[PieceStore]:
    """Where the pieces lie until they are joined: for a trial, in a folder that always goes."""
    if work.trial:
        return _trial_store(target)
    return open_pieces(target, manifest, fresh=fresh, on_note=on_note)


@contextmanager
def _trial_store(target: Path) -> Iterator[PieceStore]:
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
