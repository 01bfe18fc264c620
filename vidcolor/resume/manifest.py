"""What a run writes down beside its finished pieces, so that a later run can go on after them."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
"""Of the file; another number means that another vidcolor wrote it."""

NAME = "manifest.json"

SAMPLE = 1 << 20
"""Bytes at either end of a source that are hashed."""


@dataclass(frozen=True, kw_only=True)
class FinishedPiece:
    """A finished stretch of the colored film, as the manifest knows it."""

    name: str
    """Of the file in the work folder."""
    size: int
    """Bytes; a file of another size is not the one that was finished."""
    first_pts: int
    """Timestamp of the first frame, in units of the film's time base."""
    frames: int
    tail: tuple[tuple[int, int], ...]
    """(timestamp, CRC-32 of the small luma) of the last frames: a run that goes on has to read
    these very frames again before it may take the next one for the first that is missing."""


@dataclass(kw_only=True)
class Manifest:
    """A film under way."""

    source: dict[str, Any]
    """Path, and what `identity` says."""
    target: str
    settings: dict[str, Any]
    """Everything that the pieces depend on beside the source."""
    total: int | None
    """How many frames are expected."""
    seekable: bool = True
    """False once the film turned out not to give the same frames after a jump into its middle."""
    complete: bool = False
    """All pieces are finished; only the joining is left."""
    pieces: list[FinishedPiece] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """How many frames are finished."""
        return sum(piece.frames for piece in self.pieces)

    def differences(self, other: "Manifest") -> list[str]:
        """What keeps a run that wants `self` from going on with the pieces of `other`."""
        names = sorted(self.settings.keys() | other.settings.keys())
        changed = [name for name in names if self.settings.get(name) != other.settings.get(name)]
        mine, others = ({**each.source, "path": None} for each in (self, other))
        return [*(["the source"] if mine != others else []), *changed]


def identity(source: Path) -> dict[str, Any]:
    """What tells a changed source from the one that was read before."""
    size, mtime = source.stat().st_size, source.stat().st_mtime_ns
    with source.open("rb") as file:
        head = hashlib.sha256(file.read(SAMPLE)).hexdigest()
        file.seek(max(0, size - SAMPLE))
        tail = hashlib.sha256(file.read(SAMPLE)).hexdigest()
    return {
        "path": str(source.absolute()),
        "size": size,
        "mtime": mtime,
        "head": head,
        "tail": tail,
    }


def load_manifest(folder: Path) -> Manifest | None:
    """The manifest of a work folder; None where there is none that this version understands."""
    try:
        content = json.loads((folder / NAME).read_text("utf-8"))
        if content.pop("format") != FORMAT:
            return None
        pieces = [_piece(entry) for entry in content.pop("pieces")]
        return Manifest(**content, pieces=pieces)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save_manifest(manifest: Manifest, folder: Path, scratch: Path) -> None:
    """Write it so that `folder` holds the old or the new one, whole, whenever the power fails.

    scratch: a folder of this run alone, on the same disk.
    """
    unfinished = scratch / NAME
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **asdict(manifest)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / NAME)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` as they will be after a round trip through JSON, so that they can be compared."""
    return json.loads(json.dumps(settings))


def _piece(entry: dict[str, Any]) -> FinishedPiece:
    tail = tuple((int(pts), int(crc)) for pts, crc in entry.pop("tail"))
    return FinishedPiece(**entry, tail=tail)
