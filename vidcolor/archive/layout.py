"""What lies under DST/.vidcolor/, and how it is written."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vidcolor.archive.store import SMALL, Store
from vidcolor.resume.plan import Plan, PlannedPiece

STATE = ".vidcolor"
"""The folder of everything that is not a result."""

FORMAT = 1
"""Of the records; a part of every film's folder's name."""

RUNS = f"{STATE}/runs"
"""Where runs tell how far they are."""

DONE, FAILED = "done.jsonl", "failed.jsonl"
"""Beside the results: a line for each film that is finished, and for each that failed."""


@dataclass(frozen=True, slots=True)
class SourceFilm:
    """A film of the archive, as it was listed."""

    name: str
    size: int
    """Bytes."""
    version: str
    target: str
    """Name of the result."""


@dataclass(frozen=True, slots=True)
class FilmFolder:
    """The names that belong to one film under certain settings."""

    path: str

    @property
    def plan(self) -> str:
        return f"{self.path}/plan.json"

    @property
    def done(self) -> str:
        return f"{self.path}/done.json"

    @property
    def failed(self) -> str:
        return f"{self.path}/failed.json"

    def record(self, number: int) -> str:
        """Of the finished piece with this number."""
        return f"{self.path}/piece-{number:05d}.json"

    def piece(self, number: int, digest: str) -> str:
        """Of its data. Two machines that make another file of it do not share a name."""
        return f"{self.path}/piece-{number:05d}-{digest}"

    def claim(self, unit: str, generation: int) -> str:
        return f"{self.path}/claim-{unit}-{generation:03d}.json"


def film_folder(film: SourceFilm, settings: str) -> FilmFolder:
    """settings: the digest of everything beside the film that its result depends on."""
    text = json.dumps([FORMAT, film.name, film.size, film.version, settings])
    return FilmFolder(f"{STATE}/{hashlib.sha256(text.encode()).hexdigest()[:32]}")


@dataclass(frozen=True, kw_only=True)
class FilmPlan:
    """The pieces of a film; whoever looked at the film first has decided on them for all."""

    name: str
    target: str
    plan: Plan
    comment: str
    """By which the result says how it was made."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PieceRecord:
    """A finished piece in the store."""

    data: str
    """Name of the object that holds it."""
    sha256: str
    size: int
    """Bytes."""
    first_pts: int
    frames: int
    seconds: float
    """Time that it took."""


def to_json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def read_json(store: Store, name: str) -> dict[str, Any] | None:
    """A record; None where there is none, or something else has its name."""
    data = store.read(name)
    try:
        content = json.loads(data) if data and len(data) < SMALL else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def time_of(record: Mapping[str, Any], name: str) -> float:
    """Unix time, which anyone may have written there; 0.0 for anything else."""
    value = record.get(name)
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 1e11 else 0.0


def text_of(record: Mapping[str, Any], name: str) -> str | None:
    """Text, which anyone may have written there; None for anything else."""
    value = record.get(name)
    return value if isinstance(value, str) else None


def write_plan(store: Store, folder: FilmFolder, plan: FilmPlan) -> FilmPlan:
    """Put the plan there, or return the one that is there already."""
    content = to_json(asdict(plan))
    if store.create(folder.plan, content):
        return plan
    if found := read_plan(store, folder):
        return found
    store.write(folder.plan, content)  # something that is no plan has its name
    return plan


def read_plan(store: Store, folder: FilmFolder) -> FilmPlan | None:
    content = read_json(store, folder.plan)
    if content is None:
        return None
    try:
        return _plan(content)
    except (KeyError, TypeError, ValueError):
        return None


def read_record(store: Store, folder: FilmFolder, number: int) -> PieceRecord | None:
    content = read_json(store, folder.record(number))
    try:
        record = PieceRecord(**content) if content else None
    except TypeError:
        return None
    if record is None or not _is_digest(record.sha256):
        return None
    # Names are never taken from a record: they could lead elsewhere.
    if record.data != folder.piece(number, record.sha256[:16]):
        return None
    numbers = (record.size, record.first_pts, record.frames)
    return record if all(type(number) is int for number in numbers) else None


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def suffix_of(name: str) -> str:
    """The suffix of a result or a source, which is a known one; "" for anything odd."""
    suffix = PurePosixPath(name).suffix
    return suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ""


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None


def _plan(content: Mapping[str, Any]) -> FilmPlan:
    plan = content["plan"]
    pieces = tuple(PlannedPiece(**piece) for piece in plan["pieces"])
    for number, piece in enumerate(pieces):
        whole = (piece.number, piece.begin, piece.first_frame, piece.frames, piece.end or 0)
        if piece.number != number or not all(type(value) is int for value in whole):
            raise ValueError("not a plan")
    return FilmPlan(
        name=str(content["name"]),
        target=str(content["target"]),
        plan=Plan(pieces=pieces, seekable=bool(plan["seekable"]), warnings=()),
        comment=str(content["comment"]),
        warnings=tuple(map(str, content["warnings"])),
    )
