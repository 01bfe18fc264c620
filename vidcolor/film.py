"""One film, path to path: probe, decode, color, encode piece by piece, join, publish."""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from vidcolor.chroma.temporal.filter import FilterState
from vidcolor.errors import MediaError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.mark import color_mark
from vidcolor.media.containers import AUTO_HARDWARE, HARDWARE
from vidcolor.media.join import join
from vidcolor.media.probe import Film, probe
from vidcolor.media.process import EndedEarly
from vidcolor.media.publish import work_folder
from vidcolor.media.read import LumaFrame
from vidcolor.media.source_color import IN_COLOR, film_color
from vidcolor.media.target import check_target
from vidcolor.media.write import write_piece
from vidcolor.pieces import color_piece, piece_digest, settings_of
from vidcolor.pipeline import EncodedFrame, Work, encoded_frames
from vidcolor.resume.checkpoint import START_OVER, ColorRecorder, FrameColors, Pace
from vidcolor.resume.kept_scan import SCAN, save_scan
from vidcolor.resume.manifest import Manifest, identity, same_source
from vidcolor.resume.plan import PlannedPiece, plan_film
from vidcolor.resume.reading import not_as_before, read_on, since_start
from vidcolor.resume.store import (
    MOST_SAVED,
    TAIL,
    PieceSettings,
    PieceStore,
    in_pieces,
    open_pieces,
)
from vidcolor.settings import FilmSettings
from vidcolor.shots import scan_film

USUAL_RATE = 25
"""Frames per second assumed where a film does not declare its rate."""


@dataclass(frozen=True)
class Report:
    """The result of `colorize_film`."""

    target: Path
    """The colored film."""
    frames: int
    """How many it has."""
    seconds: float
    """Wall time of this run."""
    warnings: tuple[str, ...]
    """One line for each fault of the source, and for everything that could not be carried over."""
    kept: int = 0
    """How many of the frames an earlier run had finished."""


def colorize_film(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    colorizer: Colorizer,
    settings: FilmSettings | None = None,
    *,
    work_for: Callable[[PlannedPiece, Work], Work] = lambda planned, work: work,
    asked: Mapping[str, Any] | None = None,
    on_frame: Callable[[int, int | None], None] = lambda done, total: None,
    on_note: Callable[[str], None] = lambda note: None,
    on_colors: Callable[[EncodedFrame], object] = lambda frame: None,
) -> Report:
    """Color a film and publish it under `target`, which is replaced if it exists.

    settings: how it is read, filtered, encoded and resumed; the defaults where there are none.
    work_for: called with each piece of the plan and the work on the film, returns the work on that
    piece: with another colorizer, smoothing or control; or the same object.
    asked: plain values that are kept with the pieces of a plan, for whoever looks at them later.
    on_frame: called with (done, total) after every frame; total is an estimate, or None.
    on_note: called with one line when the run continues an earlier one.
    on_colors: called with every frame's luma and chroma before it is encoded, to show them.

    The film appears under its name only when it is complete. Whatever stops the run, what it has
    finished stays in a hidden folder beside `target`, and the same call continues after it; with a
    start or an end, nothing is kept.
    Raises MediaError (with the remedy), also where an earlier run with other settings has left
    frames that `settings.fresh` does not allow to delete, or where the source is changed
    meanwhile; and DeviceError.
    """
    started = time.monotonic()
    source, target = Path(source), Path(target)
    settings = settings or FilmSettings()
    start, end, pieces = settings.start, settings.end, settings.pieces
    film = probe(source, deinterlace=settings.deinterlace)
    work = replace(film_work(film, target, colorizer, settings), look=on_colors)
    if settings.encode.codec == AUTO_HARDWARE:
        on_note(f"encoding with {work.encode.codec}, {_why(work.encode.codec)}")
    plan = settings.plan
    if plan is None and settings.keep:
        on_note("looking for shots")
        plan = plan_film(film, scan_film(film))
    total = plan.frames if plan else expected_frames(film, start, end)
    works = [(piece, work_for(piece, work)) for piece in plan.pieces] if plan else []
    manifest = Manifest(
        source=identity(source),
        target=target.name,
        settings={} if plan else unplanned_settings(work, pieces),
        total=total,
        plan=[piece_digest(own, piece) for piece, own in works] if plan else None,
        keep=settings.keep,
        asked=dict(asked or {}),
    )
    warnings: list[str] = list(plan.warnings) if plan else []
    if film_color(film).kind == "color":
        warnings.append(IN_COLOR)

    def publish(unfinished: Path) -> None:
        check_source(film, store)
        store.note_result(unfinished)

    with _watched(target), _open_store(work, target, manifest, settings.fresh, on_note) as store:
        kept = store.manifest.frames
        if kept and not plan:
            on_note(f"continuing after {kept} frames of an earlier run")
        if kept:
            on_frame(kept, total)
        if plan:
            if plan.scan is not None:
                save_scan(plan.scan, store.folder / SCAN)
            make_planned(
                works, plan.seekable, store, lambda done: on_frame(done, total), on_note=on_note
            )
        else:
            make_pieces(
                work, pieces, store, lambda done: on_frame(done, total), warn=warnings.append
            )
        by_hand = any(own is not work for _, own in works)
        mark = color_mark(
            colorizer, settings.edges, smooth=settings.smooth.strength, by_hand=by_hand
        )
        with _unchanged_source(film, store):
            warnings += join(
                film,
                store.pieces,
                target,
                start=start,
                end=end,
                comment=mark,
                on_complete=publish,
            )
        frames = store.manifest.frames
    seconds = time.monotonic() - started
    # A piece that is started again meets the same damage again.
    return Report(target, frames, seconds, tuple(dict.fromkeys(warnings)), kept)


def _why(codec: str | None) -> str:
    """Why `auto-hw` has led to this encoder."""
    if any(codec in some for some in HARDWARE.values()):
        return "a hardware encoder that works here"
    return "since no hardware encoder works here with this film and these options"


def film_work(film: Film, target: Path, colorizer: Colorizer, settings: FilmSettings) -> Work:
    """The work on a film. Raises MediaError where `target` cannot be made of it."""
    return Work(
        film=film,
        colorizer=colorizer,
        encode=check_target(film, target, settings.encode),
        smooth=settings.smooth,
        edges=settings.edges,
        start=settings.start,
        end=settings.end,
    )


def make_pieces(
    work: Work,
    pieces: PieceSettings,
    store: PieceStore,
    on_frame: Callable[[int], None],
    *,
    warn: Callable[[str], object],
) -> None:
    """Color and encode every piece that `store` does not have."""
    pace = Pace()
    while not store.manifest.complete:
        state = _filter_state(store)
        try:
            with (
                _unchanged_source(work.film, store),
                read_on(
                    work.film,
                    store,
                    work.size,
                    guide=work.guide,
                    full=work.full,
                    start=work.start,
                    end=work.end,
                    warn=warn,
                ) as luma,
                closing(
                    encoded_frames(
                        _numbered(luma, work, pieces, store), work, state, stop=luma.stop
                    )
                ) as frames,
            ):
                for _, piece in groupby(frames, attrgetter("piece")):
                    recorder = _recorder(work, pieces, store, pace)
                    make_piece(work, store, piece, recorder, on_frame)
            if store.begun:  # colors are saved only where frames of the same piece follow
                raise not_as_before(work.film)
            store.complete()
        except EndedEarly:
            # After its seek to the piece, the encoder got other frames than a decoder that starts
            # at the beginning. What is finished is right; the rest is made without seeking.
            if not store.manifest.seekable or not store.pieces:
                raise
            store.give_up_seeking()


def make_planned(
    works: Sequence[tuple[PlannedPiece, Work]],
    seekable: bool,
    store: PieceStore,
    on_frame: Callable[[int], None],
    *,
    on_note: Callable[[str], None],
) -> None:
    """Color and encode those pieces of a plan that `store` does not have.

    works: each piece and the work on it, as in the manifest's plan.
    """
    plan = store.manifest.plan or []
    made = {piece.digest for piece in store.manifest.wanted}
    if made:
        on_note(f"{len(made)} of {len(plan)} pieces are kept from an earlier run")
    for digest, (planned, work) in zip(plan, works, strict=True):
        if digest in made:
            continue
        done = store.manifest.frames
        with _unchanged_source(work.film, store):
            piece = color_piece(
                work,
                planned,
                store.scratch / "piece",
                seekable=seekable,
                on_frame=lambda frames, done=done: on_frame(done + frames),
            )
        check_source(work.film, store)
        store.keep_planned(piece, digest)
    store.complete()


def unplanned_settings(work: Work, pieces: PieceSettings) -> dict[str, Any]:
    """Everything beside the source that pieces without a plan depend on."""
    return {
        **settings_of(work),
        "piece_seconds": pieces.seconds,
        "piece_cuts": [pieces.cut_from, pieces.cut_score],
    }


def _filter_state(store: PieceStore) -> FilterState | None:
    """Of the temporal filter after the frames that are kept; None at the beginning."""
    arrays = store.state
    try:
        return FilterState.of(arrays) if arrays else None
    except ValueError as error:
        raise MediaError(
            f"what is kept in {store.folder} is damaged ({error}); {START_OVER}"
        ) from error


def _numbered(
    luma: Iterator[LumaFrame], work: Work, pieces: PieceSettings, store: PieceStore
) -> Iterator[tuple[int, LumaFrame]]:
    """Every frame with the number of its piece.

    A film that cannot be entered is one piece, if the encoder decodes it once more.
    """
    settings = pieces if store.manifest.seekable or work.full is not None else None
    return in_pieces(luma, work.film.time_base, settings, len(store.pieces), store.begun)


def _recorder(
    work: Work, pieces: PieceSettings, store: PieceStore, pace: Pace
) -> ColorRecorder | None:
    """What saves colors of the next piece while it is made; a trial keeps nothing."""
    if work.trial or store.saved_bytes > MOST_SAVED:
        return None
    expected = float(work.film.frame_rate or USUAL_RATE) * pieces.seconds
    return ColorRecorder(pieces.save_every, expected, pace)


def make_piece(
    work: Work,
    store: PieceStore,
    frames: Iterable[EncodedFrame],
    recorder: ColorRecorder | None,
    on_frame: Callable[[int], None],
) -> None:
    """Encode one piece, whose first frames may have saved colors, and keep it.

    frames: all others of the piece, at least one.
    """
    frames = iter(frames)
    first = next(frames)
    height, width = first.chroma.shape[1:]
    done = sum(piece.frames for piece in store.pieces)
    begin = store.begun[0] if store.begun else first.luma.pts
    start = since_start(work.film, begin) if store.manifest.seekable else None
    path = store.scratch / "piece"
    last: deque[LumaFrame] = deque(maxlen=TAIL)
    state: FilterState | None = None
    # The frames whose colors were saved have no luma here.
    carried = first.luma.full is not None and not store.begun
    size = width, height
    with write_piece(work.film, path, size, work.encode, start=start, luma=carried) as writer:
        for saved in store.saved_colors():
            writer.write(*saved)
        for frame in chain([first], frames):
            # Between batches alone: a run that continues here then makes the very same batches.
            if recorder and frame.begins_batch and recorder.is_due:
                check_source(work.film, store)
                store.keep_colors(recorder, last, state.arrays() if state else {})
                last.clear()
                if store.saved_bytes > MOST_SAVED:
                    recorder = None
            writer.write(frame.luma.pts, frame.chroma, frame.luma.full)
            if recorder:
                recorder.add(FrameColors(frame.luma.pts, frame.chroma))
            last.append(frame.luma._replace(guide=None, full=None))
            state = frame.state
            on_frame(done + writer.frames)
    check_source(work.film, store)
    store.keep(writer.piece, last, state.arrays() if state else {})


@contextmanager
def _unchanged_source(film: Film, store: PieceStore) -> Iterator[None]:
    """Report a changed source as the cause of an error that it led to."""
    try:
        yield
    except MediaError:
        check_source(film, store)
        raise


def check_source(film: Film, store: PieceStore) -> None:
    """Raises MediaError where the source is no longer the file that the run began with."""
    try:
        if same_source(identity(film.path), store.manifest.source):
            return
    except OSError as error:
        raise MediaError(
            f"{film.path} can no longer be read ({error.strerror}); put it back and try again"
        ) from error
    raise MediaError(
        f"{film.path} was changed or replaced while it was colored; put the former file back and "
        "try again, or add --fresh to color the new one"
    )


def expected_frames(film: Film, start: float | None, end: float | None) -> int | None:
    """How many frames progress should expect; None where the film does not say."""
    if film.frame_count is None or (start is None and end is None):
        return film.frame_count
    if not film.duration or not film.frame_rate:
        return None
    seconds = min(end or film.duration, film.duration) - (start or 0)
    return max(1, round(seconds * film.frame_rate))


def _open_store(
    work: Work, target: Path, manifest: Manifest, fresh: bool, on_note: Callable[[str], None]
) -> AbstractContextManager[PieceStore]:
    """Where the pieces lie until they are joined; a trial's folder is always removed."""
    if work.trial:
        return _trial_store(target, manifest)
    return open_pieces(target, manifest, fresh=fresh, on_note=on_note)


@contextmanager
def _trial_store(target: Path, manifest: Manifest) -> Iterator[PieceStore]:
    with work_folder(target.parent) as folder:
        scratch = folder / "run"
        scratch.mkdir()
        yield PieceStore(folder, manifest, scratch)


@contextmanager
def _watched(target: Path) -> Iterator[None]:
    """Turn a vanished folder or a full disk into a MediaError of one line."""
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
