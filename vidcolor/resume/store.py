"""The finished pieces of a film under way, in a work folder that the same command finds again."""

import hashlib
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from zipfile import BadZipFile
from zlib import crc32

import numpy as np
from filelock import FileLock, Timeout

from vidcolor.errors import MediaError
from vidcolor.media.publish import WORK_PREFIX
from vidcolor.media.read import LumaFrame
from vidcolor.media.write import Piece, frames_in
from vidcolor.resume.manifest import (
    NAME,
    FinishedPiece,
    Manifest,
    load_manifest,
    save_manifest,
    sync_folder,
)

LOCK = "lock"

PATIENCE = 1.0
"""Seconds to wait for the lock, which `is_running` and `sweep` hold for a moment too."""

TAIL = 8
"""Frames before a boundary that are read again; a cut score needs the two before its frame."""

ABANDONED = 24 * 3600
"""Seconds after which a work folder that has no lock is nobody's."""


@dataclass(frozen=True, kw_only=True)
class PieceSettings:
    """Where one piece ends and the next begins."""

    seconds: float = 60.0
    """Longest piece, which is the most that is lost when a run is killed."""
    cut_from: float = 0.8
    """Share of that length from which on a scene cut ends the piece."""
    cut_score: float = 10.0
    """So much a frame that begins a scene differs from the one before."""


def in_pieces(
    frames: Iterable[LumaFrame], time_base: Fraction, settings: PieceSettings | None, first: int
) -> Iterator[tuple[int, LumaFrame]]:
    """Put before each frame the number of its piece, counting from `first`.

    It follows from timestamps and cut scores alone, so every run finds the same boundaries.
    settings: None for a single piece.
    """
    number, longest = first, settings.seconds if settings else math.inf
    begun = latest = None
    for frame in frames:
        if begun is None or latest is None:
            begun = latest = frame.pts
        elif settings and frame.pts > latest:
            seconds = float((frame.pts - begun) * time_base)
            cut = frame.cut_score >= settings.cut_score and seconds >= settings.cut_from * longest
            if cut or seconds >= longest:
                number, begun = number + 1, frame.pts
        latest = max(latest, frame.pts)
        yield number, frame


def tail_of(frames: Iterable[LumaFrame]) -> tuple[tuple[int, int], ...]:
    """What a manifest keeps of the last frames of a piece."""
    return tuple((frame.pts, crc32(frame.pixels.tobytes())) for frame in frames)


class PieceStore:
    """The work folder of one film, locked for this run."""

    def __init__(self, folder: Path, manifest: Manifest, scratch: Path):
        self.folder = folder
        self.manifest = manifest
        self.scratch = scratch
        """A folder of this run alone. A process that outlives a killed run writes into that run's
        own, which is gone, and never into ours."""

    @property
    def pieces(self) -> list[Piece]:
        """What is finished, in the order of time."""
        return [
            Piece(path=self.folder / piece.name, first_pts=piece.first_pts, frames=piece.frames)
            for piece in self.manifest.pieces
        ]

    @property
    def tail(self) -> tuple[tuple[int, int], ...]:
        """(timestamp, CRC-32) of the last frames that are finished; empty at the beginning."""
        return self.manifest.pieces[-1].tail if self.manifest.pieces else ()

    @property
    def state(self) -> dict[str, np.ndarray]:
        """What `keep` was given with the last piece; empty at the beginning."""
        if not self.manifest.pieces:
            return {}
        return _load_state(self.folder / self.manifest.pieces[-1].name) or {}

    def keep(
        self, piece: Piece, last: Sequence[LumaFrame], state: Mapping[str, np.ndarray]
    ) -> None:
        """Take a piece that was finished in `scratch`; from now on it survives.

        last: the last frames of the piece, as they were read.
        state: small arrays that a later run needs to go on after the piece as this one does.
        """
        name = f"piece-{len(self.manifest.pieces):05d}"
        unfinished = self.scratch / f"{name}.npz"
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **state)
        _move(unfinished, _state_path(self.folder / name))
        _move(piece.path, self.folder / name)
        size = (self.folder / name).stat().st_size
        self.manifest.pieces.append(
            FinishedPiece(
                name=name,
                size=size,
                first_pts=piece.first_pts,
                frames=piece.frames,
                tail=tail_of(last),
            )
        )
        self.save()

    def complete(self) -> None:
        """Note that there are no more pieces to come."""
        self.manifest.complete = True
        self.save()

    def give_up_seeking(self) -> None:
        """Note that the film cannot be entered in its middle, and that the rest is one piece."""
        self.manifest.seekable = False
        self.save()

    def save(self) -> None:
        save_manifest(self.manifest, self.folder, self.scratch)


@contextmanager
def open_pieces(
    target: Path, wanted: Manifest, *, fresh: bool, on_note: Callable[[str], None]
) -> Iterator[PieceStore]:
    """The work folder for `target`, with the pieces that an earlier run of the same work left.

    wanted: the manifest of this run, still without pieces.
    fresh: forget what there is.
    on_note: told in one line when the run goes on, or why it starts over.
    The folder goes when the block ends well; otherwise it stays if a piece in it is finished.
    Raises MediaError while another run works on the same target.
    """
    with _locked(target) as folder:
        manifest = wanted if fresh else _continued(folder, wanted, on_note)
        _clean(folder, manifest)
        scratch = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
        store = PieceStore(folder, manifest, scratch)
        try:
            store.save()
            yield store
            manifest.pieces.clear()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if not manifest.pieces:
                shutil.rmtree(folder, ignore_errors=True)


def piece_folder(target: Path) -> Path:
    """Where the pieces of `target` are kept: beside it, hidden, whatever its name looks like."""
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()
    return target.parent / f"{WORK_PREFIX}{digest[:16]}"


def kept(target: Path) -> Manifest | None:
    """The manifest of a film that was stopped, or is under way; None where nothing is finished."""
    manifest = load_manifest(piece_folder(target))
    return manifest if manifest and manifest.pieces else None


def is_running(folder: Path) -> bool:
    """Whether a run holds this work folder."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def sweep(parent: Path) -> None:
    """Remove the work folders in `parent` that nobody works in and nobody can go on with."""
    with suppress(OSError):
        for folder in parent.glob(f"{WORK_PREFIX}*"):
            _sweep(folder)


def _sweep(folder: Path) -> None:
    with suppress(OSError, Timeout):
        if not (folder / LOCK).exists():
            youngest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
            if time.time() - youngest > ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
            return
        with FileLock(folder / LOCK, timeout=0):
            manifest = load_manifest(folder)
            if manifest is None or _published(folder, manifest):
                shutil.rmtree(folder, ignore_errors=True)


def _published(folder: Path, manifest: Manifest) -> bool:
    """Killed after the film got its name and before the folder was removed."""
    if not manifest.complete:
        return False
    target = folder.parent / manifest.target
    return target.exists() and target.stat().st_mtime_ns >= (folder / NAME).stat().st_mtime_ns


@contextmanager
def _locked(target: Path) -> Iterator[Path]:
    """Make the work folder and lock it. The lock of a run that was killed is free."""
    folder = piece_folder(target)
    lock = FileLock(folder / LOCK, timeout=PATIENCE)
    try:
        while not lock.is_locked:
            folder.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):
                lock.acquire()
                if not (folder / LOCK).exists():  # a run that ended just now took it along
                    lock.release()
    except Timeout:
        raise MediaError(
            f"{target} is being made by another run; wait for it, or give another --output"
        ) from None
    try:
        yield folder
    finally:
        lock.release()


def _continued(folder: Path, wanted: Manifest, on_note: Callable[[str], None]) -> Manifest:
    """The manifest to go on with: the one in `folder`, if it is of the same work."""
    found = load_manifest(folder)
    if found is None or not found.pieces:
        return wanted
    if different := wanted.differences(found):
        have = "have" if len(different) > 1 else "has"
        on_note(f"starting over: {' and '.join(different)} {have} changed")
        return wanted
    whole = list(_whole(folder, found))
    if len(whole) < len(found.pieces):
        on_note(f"only {len(whole)} of {len(found.pieces)} finished pieces are still whole")
        found.complete = False
    found.pieces, found.total = whole, wanted.total
    return found


def _whole(folder: Path, manifest: Manifest) -> Iterator[FinishedPiece]:
    """The pieces up to the first that is missing or was damaged."""
    for piece in manifest.pieces:
        path = folder / piece.name
        if not path.is_file() or path.stat().st_size != piece.size:
            return
        if frames_in(path) != piece.frames or _load_state(path) is None:
            return
        yield piece


def _load_state(piece: Path) -> dict[str, np.ndarray] | None:
    """What was kept beside a piece; None where that is missing or damaged."""
    try:
        with np.load(_state_path(piece)) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def _state_path(piece: Path) -> Path:
    return piece.with_name(f"{piece.name}.npz")


def _clean(folder: Path, manifest: Manifest) -> None:
    """Remove everything that does not belong to the finished pieces."""
    wanted = {LOCK, NAME}
    for piece in manifest.pieces:
        wanted |= {piece.name, _state_path(folder / piece.name).name}
    for path in folder.iterdir():
        if path.name in wanted:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _move(finished: Path, name: Path) -> None:
    """Rename a file, its content on the disk first."""
    with finished.open("rb") as file:
        os.fsync(file.fileno())
    finished.replace(name)
    sync_folder(name.parent)
