"""The record beside the finished pieces of a film, by which a later run continues after them."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from vidcolor.resume.own_files import NotOwnError, read_own_text

FORMAT = 2
"""Of the file; another number means that another version of vidcolor wrote it."""

PLANNED_FORMAT = 3
"""Of the file for a film with a plan, which versions that know no plans must not touch."""

FORMATS = (FORMAT, PLANNED_FORMAT)

NAME = "manifest.json"

SAMPLE = 1 << 20
"""Bytes at either end of a source that are hashed."""

Tail = tuple[tuple[int, int], ...]
"""(timestamp, CRC-32 of the small luma) of the last frames that are finished: a run that continues
has to read these very frames again before it may take the next one for the first that is missing.
"""

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class FinishedPiece:
    """A finished stretch of the colored film, as the manifest records it."""

    name: str
    """Of the file in the work folder."""
    size: int
    """Bytes."""
    crc: int
    """CRC-32 of the file."""
    first_pts: int
    """Timestamp of the first frame, in units of the film's time base."""
    frames: int
    tail: Tail
    digest: str | None = None
    """Of the settings that a planned piece was made with; None for any other."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Saved colors of the piece in progress: of some frames that follow one another."""

    name: str
    """Of the file in the work folder."""
    size: int
    """Bytes."""
    crc: int
    """CRC-32 of the file."""
    first_pts: int
    latest_pts: int
    """Smallest and largest timestamp; frames may be out of order."""
    frames: int
    tail: Tail


@dataclass(kw_only=True)
class Manifest:
    """A film in progress."""

    source: dict[str, Any]
    """What `identity` returned."""
    target: str
    settings: dict[str, Any]
    """Everything that the pieces depend on beside the source."""
    total: int | None
    """How many frames are expected."""
    seekable: bool = True
    """False once seeking in the film turned out to give other frames."""
    complete: bool = False
    """All pieces are finished; only the joining is left."""
    result: list[int] | None = None
    """Size and modification time (ns) of the joined film, from just before it gets its name."""
    pieces: list[FinishedPiece] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """Of the piece that follows `pieces`, in the order of its frames."""
    plan: list[str] | None = None
    """Digests of all planned pieces, in the order of time; `pieces` are then in the order in which
    they were made, some of them perhaps of an earlier plan. None for a film without a plan."""
    keep: bool = False
    """Whether the pieces stay when the film is published."""
    asked: dict[str, Any] = field(default_factory=dict)
    """The options that the run was started with, so that `status` can say what they would do."""

    @property
    def frames(self) -> int:
        """How many frames need not be colored again."""
        return sum(part.frames for part in (*self.wanted, *self.checkpoints))

    @property
    def wanted(self) -> list[FinishedPiece]:
        """The finished pieces that the film consists of, in the order of time."""
        if self.plan is None:
            return self.pieces
        made = {piece.digest: piece for piece in self.pieces}
        return [made[digest] for digest in self.plan if digest in made]

    @property
    def tail(self) -> Tail:
        """Of the last of these frames; empty where there are none."""
        last = (*self.pieces, *self.checkpoints)[-1:]
        return last[0].tail if last else ()

    def clear(self) -> None:
        """Forget all frames."""
        self.pieces.clear()
        self.checkpoints.clear()


def identity(source: Path) -> dict[str, Any]:
    """What a source is recognized by, so that a change is noticed."""
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


def same_source(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two identities are of one source, wherever it lies."""
    return {**one, "path": None} == {**other, "path": None}


def load_manifest(folder: Path) -> Manifest | None:
    """The manifest of a work folder; None where there is none that this version understands."""
    content = _content(folder)
    try:
        return _manifest(content) if content and content["format"] in FORMATS else None
    except (KeyError, TypeError, ValueError):
        return None


def is_of_other_version(folder: Path) -> bool:
    """Whether another version of vidcolor left frames in this work folder."""
    content = _content(folder) or {}
    found = content.get("format", FORMAT)
    return isinstance(found, int) and found not in FORMATS and bool(content.get("pieces"))


def save_manifest(manifest: Manifest, folder: Path, scratch: Path) -> None:
    """Write it so that `folder` holds either the old or the new one, complete, if the power fails.

    scratch: a folder of this run alone, on the same disk.
    """
    unfinished = scratch / NAME
    with unfinished.open("w", encoding="utf-8") as file:
        number = FORMAT if manifest.plan is None else PLANNED_FORMAT
        json.dump({"format": number, **asdict(manifest)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / NAME)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Flush the directory entries of `folder` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` as they will be after a round trip through JSON, so that they can be compared."""
    return json.loads(json.dumps(settings))


def piece_name(number: int) -> str:
    """Of the file in a work folder, counting pieces from 0."""
    return f"piece-{number:05d}"


def planned_name(digest: str) -> str:
    """Of the file of a planned piece in a work folder."""
    return f"piece-{digest}"


def checkpoint_name(piece: int, number: int) -> str:
    """Of the file in a work folder, counting pieces and their checkpoints from 0."""
    return f"colors-{piece:05d}-{number:05d}"


def _content(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(read_own_text(folder / NAME))
    except (OSError, ValueError, RecursionError, NotOwnError):
        return None
    return content if isinstance(content, dict) else None


def _manifest(content: dict[str, Any]) -> Manifest:
    """Raises KeyError, TypeError or ValueError for content that `save_manifest` does not write."""
    source = _typed(content["source"], dict)
    _typed(source["path"], str)
    total, result = content["total"], content["result"]
    manifest = Manifest(
        source=source,
        target=_file_name(content["target"]),
        settings=_typed(content["settings"], dict),
        total=None if total is None else _count(total),
        seekable=_typed(content["seekable"], bool),
        complete=_typed(content["complete"], bool),
        result=None if result is None else [_count(number) for number in result],
    )
    if content["format"] == PLANNED_FORMAT:
        manifest.plan = [_digest(each) for each in _typed(content["plan"], list)]
        manifest.keep = _typed(content["keep"], bool)
        manifest.asked = _typed(content["asked"], dict)
    for number, entry in enumerate(_typed(content["pieces"], list)):
        digest = None if manifest.plan is None else _digest(entry["digest"])
        manifest.pieces.append(
            FinishedPiece(
                name=_name(entry, planned_name(digest) if digest else piece_name(number)),
                digest=digest,
                size=_count(entry["size"]),
                crc=_count(entry["crc"]),
                first_pts=_integer(entry["first_pts"]),
                frames=_count(entry["frames"]),
                tail=_tail(entry),
            )
        )
    for number, entry in enumerate(_typed(content["checkpoints"], list)):
        manifest.checkpoints.append(
            Checkpoint(
                name=_name(entry, checkpoint_name(len(manifest.pieces), number)),
                size=_count(entry["size"]),
                crc=_count(entry["crc"]),
                first_pts=_integer(entry["first_pts"]),
                latest_pts=_integer(entry["latest_pts"]),
                frames=_count(entry["frames"]),
                tail=_tail(entry),
            )
        )
    return manifest


def _typed(value: Any, kind: type[Value]) -> Value:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError(f"{value!r} is not an integer of 64 bits")
    return value


def _count(value: Any) -> int:
    if _integer(value) < 0:
        raise ValueError(f"{value!r} is negative")
    return value


def _digest(value: Any) -> str:
    if not re.fullmatch("[0-9a-f]{32}", _typed(value, str)):
        raise ValueError(f"{value!r} is not the digest of a piece")
    return value


def _file_name(value: Any) -> str:
    if Path(_typed(value, str)).name != value:
        raise ValueError(f"{value!r} is not a file name")
    return value


def _name(entry: dict[str, Any], expected: str) -> str:
    """Names are never taken from the file: they could lead out of the folder."""
    if entry["name"] != expected:
        raise ValueError(f"{entry['name']!r} is not {expected}")
    return expected


def _tail(entry: dict[str, Any]) -> Tail:
    return tuple((_integer(pts), _count(crc)) for pts, crc in _typed(entry["tail"], list))
