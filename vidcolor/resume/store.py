"""The finished pieces of a film in progress, in a work folder that the same command finds again."""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from zipfile import BadZipFile
from zlib import crc32

import numpy as np

from vidcolor.errors import MediaError, VidcolorError
from vidcolor.media.read import CUT_SCORE, LumaFrame
from vidcolor.media.write import Piece, frames_in
from vidcolor.resume.checkpoint import ColorRecorder, FrameColors, saved_colors, saved_state
from vidcolor.resume.difference import refusal
from vidcolor.resume.kept_scan import SCAN
from vidcolor.resume.manifest import (
    NAME,
    Checkpoint,
    FinishedPiece,
    Manifest,
    Tail,
    checkpoint_name,
    is_of_other_version,
    load_manifest,
    piece_name,
    planned_name,
    save_manifest,
    sync_folder,
)
from vidcolor.resume.own_files import remove_all_but
from vidcolor.resume.work_folder import LOCK, locked_folder, piece_folder

TAIL = 8
"""Frames before a boundary that are read again; a cut score needs the two before its frame."""

MOST_SAVED = 8 * 2**30
"""Bytes of saved colors in one piece: a film without seeking may be one piece of hours."""

BLOCK = 1 << 20
"""Bytes of a file that are read at once."""

SCRATCH = "run-"
"""How the names of the runs' own folders begin."""


@dataclass(frozen=True, kw_only=True)
class PieceSettings:
    """Where one piece ends and the next begins, and when colors are saved within one."""

    seconds: float = 60.0
    """Longest piece, in seconds of film."""
    cut_from: float = 0.8
    """Share of that length from which on a scene cut ends the piece."""
    cut_score: float = CUT_SCORE
    """How much a frame that begins a scene differs from the one before."""
    save_every: float = 120.0
    """Wall time in seconds after which the colors of an unfinished piece are saved, so that this is
    about the most that a killed run loses. No result depends on it."""

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise VidcolorError(f"pieces of {self.seconds} s cannot be made; use more than 0")


def in_pieces(
    frames: Iterable[LumaFrame],
    time_base: Fraction,
    settings: PieceSettings | None,
    first: int,
    begun: tuple[int, int] | None = None,
) -> Iterator[tuple[int, LumaFrame]]:
    """Put before each frame the number of its piece, counting from `first`.

    It follows from timestamps and cut scores alone, so every run finds the same boundaries.
    settings: None for a single piece.
    begun: first and largest timestamp of the frames before these that belong to the first piece.
    """
    number, longest = first, settings.seconds if settings else math.inf
    begin, latest = begun or (None, None)
    for frame in frames:
        if begin is None or latest is None:
            begin = latest = frame.pts
        elif settings and frame.pts > latest:
            seconds = float((frame.pts - begin) * time_base)
            cut = frame.cut_score >= settings.cut_score and seconds >= settings.cut_from * longest
            if cut or seconds >= longest:
                number, begin = number + 1, frame.pts
        latest = max(latest, frame.pts)
        yield number, frame


def tail_of(frames: Iterable[LumaFrame]) -> Tail:
    """What a manifest keeps of the last frames that are finished."""
    return tuple((frame.pts, crc32(frame.pixels.tobytes())) for frame in frames)


class PieceStore:
    """The work folder of one film, locked for this run."""

    def __init__(self, folder: Path, manifest: Manifest, scratch: Path):
        self.folder = folder
        self.manifest = manifest
        self.scratch = scratch
        """A folder of this run alone. A process left over by a killed run writes into that
        run's folder, which has been removed, and never into this one."""

    @property
    def pieces(self) -> list[Piece]:
        """What is finished, in the order of time."""
        return [
            Piece(path=self.folder / piece.name, first_pts=piece.first_pts, frames=piece.frames)
            for piece in self.manifest.wanted
        ]

    @property
    def tail(self) -> Tail:
        """(timestamp, CRC-32) of the last frames that are colored; empty at the beginning."""
        return self.manifest.tail

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The arrays that were given with the last of these frames; empty at the beginning."""
        if self.manifest.checkpoints:
            return saved_state(self.folder / self.manifest.checkpoints[-1].name)
        if self.manifest.pieces:
            return _load_state(self.folder / self.manifest.pieces[-1].name) or {}
        return {}

    @property
    def begun(self) -> tuple[int, int] | None:
        """First and largest timestamp of the piece in progress, if colors of it are saved."""
        saved = self.manifest.checkpoints
        if not saved:
            return None
        return saved[0].first_pts, max(checkpoint.latest_pts for checkpoint in saved)

    @property
    def saved_bytes(self) -> int:
        """Size of all saved colors of the piece in progress."""
        return sum(checkpoint.size for checkpoint in self.manifest.checkpoints)

    def saved_colors(self) -> Iterator[FrameColors]:
        """The first frames of the piece in progress, as far as they are saved."""
        for checkpoint in self.manifest.checkpoints:
            yield from saved_colors(self.folder / checkpoint.name)

    def keep(
        self, piece: Piece, last: Sequence[LumaFrame], state: Mapping[str, np.ndarray]
    ) -> None:
        """Take a piece that was finished in `scratch`; from now on it is kept.

        last: the last frames of the piece, as they were read.
        state: small arrays that a later run needs to continue after the piece as this one does.
        """
        name = piece_name(len(self.manifest.pieces))
        unfinished = self.scratch / f"{name}.npz"
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **state)
        _move(unfinished, _state_path(self.folder / name))
        _move(piece.path, self.folder / name)
        size, crc = _size_and_crc(self.folder / name)
        tail = self._tail_with(last)
        replaced = list(self.manifest.checkpoints)
        self.manifest.checkpoints.clear()
        self.manifest.pieces.append(
            FinishedPiece(
                name=name,
                size=size,
                crc=crc,
                first_pts=piece.first_pts,
                frames=piece.frames,
                tail=tail,
            )
        )
        self.save()
        for checkpoint in replaced:
            (self.folder / checkpoint.name).unlink(missing_ok=True)

    def keep_planned(self, piece: Piece, digest: str) -> None:
        """Take a planned piece that was finished in `scratch`; from now on it is kept."""
        name = planned_name(digest)
        _move(piece.path, self.folder / name)
        size, crc = _size_and_crc(self.folder / name)
        self.manifest.pieces.append(
            FinishedPiece(
                name=name,
                size=size,
                crc=crc,
                first_pts=piece.first_pts,
                frames=piece.frames,
                tail=(),
                digest=digest,
            )
        )
        self.save()

    def keep_colors(
        self, recorder: ColorRecorder, last: Sequence[LumaFrame], state: Mapping[str, np.ndarray]
    ) -> None:
        """Take what the recorder has of the piece in progress; from now on it is kept.

        last: the last of these frames, as they were read. state: as for `keep`.
        """
        name = checkpoint_name(len(self.manifest.pieces), len(self.manifest.checkpoints))
        pts, unfinished = recorder.pts, self.scratch / name
        with unfinished.open("wb") as file:
            recorder.save(file, state)
        _move(unfinished, self.folder / name)
        size, crc = _size_and_crc(self.folder / name)
        self.manifest.checkpoints.append(
            Checkpoint(
                name=name,
                size=size,
                crc=crc,
                first_pts=pts[0],
                latest_pts=max(pts),
                frames=len(pts),
                tail=self._tail_with(last),
            )
        )
        self.save()

    def complete(self) -> None:
        """Note that there are no more pieces to come."""
        self.manifest.complete = True
        self.save()

    def note_result(self, film: Path) -> None:
        """Note what the joined film, about to get its name, is recognized by."""
        state = film.stat()
        self.manifest.result = [state.st_size, state.st_mtime_ns]
        self.save()

    def give_up_seeking(self) -> None:
        """Note that seeking in the film gives other frames."""
        self.manifest.seekable = False
        self.save()

    def save(self) -> None:
        save_manifest(self.manifest, self.folder, self.scratch)

    def _tail_with(self, last: Sequence[LumaFrame]) -> Tail:
        return (*self.tail, *tail_of(last))[-TAIL:]


@contextmanager
def open_pieces(
    target: Path, wanted: Manifest, *, fresh: bool, on_note: Callable[[str], None]
) -> Iterator[PieceStore]:
    """The work folder for `target`, with the pieces that an earlier run of the same work left.

    wanted: the manifest of this run, still without pieces.
    fresh: delete what an earlier run left.
    on_note: called with one line where kept frames are damaged and will be made again.
    The folder is removed when the block ends without an error, or holds no finished frames.
    Raises MediaError while another run works on the same target, and where an earlier run left
    frames that this one cannot continue after; nothing is deleted then.
    """
    with locked_folder(target) as folder:
        manifest = wanted if fresh else _continued(folder, target, wanted, on_note)
        try:
            remove_all_but(folder, _names(manifest))
            scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=folder))
            store = PieceStore(folder, manifest, scratch)
            store.save()
            yield store
            if manifest.keep:
                _forget_unwanted(store)
            else:
                manifest.clear()
        finally:
            if manifest.pieces or manifest.checkpoints:
                for scratch in folder.glob(f"{SCRATCH}*"):
                    shutil.rmtree(scratch, ignore_errors=True)
            else:
                shutil.rmtree(folder, ignore_errors=True)


def kept(target: Path) -> Manifest | None:
    """The manifest of a film that was stopped, or is in progress; None where nothing is kept."""
    manifest = load_manifest(piece_folder(target))
    return manifest if manifest and manifest.frames else None


def _forget_unwanted(store: PieceStore) -> None:
    """Remove planned pieces that the film no longer consists of."""
    store.manifest.pieces = store.manifest.wanted
    store.save()
    remove_all_but(store.folder, {*_names(store.manifest), store.scratch.name})


def _continued(
    folder: Path, target: Path, wanted: Manifest, on_note: Callable[[str], None]
) -> Manifest:
    """The manifest to continue with: the one in `folder`, if it is of the same work."""
    if is_of_other_version(folder):
        raise MediaError(
            f"{target}: frames of an earlier run are kept, made by another version of vidcolor; "
            "to continue after them, use that version; to delete them and start over, add --fresh"
        )
    found = load_manifest(folder)
    if found is None or not (found.pieces or found.checkpoints):
        return wanted
    if reason := refusal(str(target), found, wanted):
        raise MediaError(reason)
    if wanted.plan is not None:
        return _planned_again(folder, found, wanted)
    pieces = list(_whole_pieces(folder, found))
    checkpoints = list(_whole_checkpoints(folder, found))
    if len(pieces) < len(found.pieces):
        on_note(f"only {len(pieces)} of {len(found.pieces)} finished pieces are undamaged")
        found.complete, checkpoints = False, []
    found.pieces, found.checkpoints = pieces, checkpoints
    found.total, found.result = wanted.total, None
    return found


def _planned_again(folder: Path, found: Manifest, wanted: Manifest) -> Manifest:
    """This run's manifest, with all undamaged pieces, also those that an earlier plan had."""
    wanted.pieces = [piece for piece in found.pieces if _is_whole(folder / piece.name, piece)]
    return wanted


def _whole_pieces(folder: Path, manifest: Manifest) -> Iterator[FinishedPiece]:
    """The pieces up to the first that is missing or was damaged."""
    for piece in manifest.pieces:
        path = folder / piece.name
        if not _is_whole(path, piece) or _load_state(path) is None:
            return
        if frames_in(path) != piece.frames:
            return
        yield piece


def _whole_checkpoints(folder: Path, manifest: Manifest) -> Iterator[Checkpoint]:
    """The checkpoints up to the first that is missing or was damaged."""
    for checkpoint in manifest.checkpoints:
        if not _is_whole(folder / checkpoint.name, checkpoint):
            return
        yield checkpoint


def _is_whole(path: Path, part: FinishedPiece | Checkpoint) -> bool:
    try:
        return path.stat().st_size == part.size and _size_and_crc(path)[1] == part.crc
    except OSError:
        return False


def _size_and_crc(path: Path) -> tuple[int, int]:
    size = crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            size, crc = size + len(block), crc32(block, crc)
    return size, crc


def _load_state(piece: Path) -> dict[str, np.ndarray] | None:
    """What was kept beside a piece; None where that is missing or damaged."""
    try:
        with np.load(_state_path(piece)) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def _state_path(piece: Path) -> Path:
    return piece.with_name(f"{piece.name}.npz")


def _names(manifest: Manifest) -> set[str]:
    """The entries of a work folder that this manifest needs."""
    pieces = [piece.name for piece in manifest.pieces]
    states = [_state_path(Path(name)).name for name in pieces]
    if manifest.plan is not None:
        states = [SCAN]
    return {LOCK, NAME, *pieces, *states, *(saved.name for saved in manifest.checkpoints)}


def _move(finished: Path, name: Path) -> None:
    """Rename a file, its content on the disk first."""
    with finished.open("rb") as file:
        os.fsync(file.fileno())
    finished.replace(name)
    sync_folder(name.parent)
