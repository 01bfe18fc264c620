"""What a worker is asked for, and what it answers."""

from dataclasses import dataclass
from typing import Literal

from vidcolor.archive.layout import SourceFilm

Unit = Literal["film", "piece", "join"]
"""A whole film, which may turn out to have several pieces; one piece; putting pieces together."""

Cause = Literal["storage", "memory", "lost", "film"]
"""Why something failed: the storage, too little memory, a worker that is gone, the film itself."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something that one worker does alone."""

    film: SourceFilm
    unit: Unit
    number: int = 0
    """Of the piece."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The film has several pieces, some of which may be finished."""

    pieces: int
    done: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PieceDone:
    """The piece is in the store."""

    frames: int = 0
    """That were colored now; none where another run had done that."""
    seconds: float = 0.0
    """That coloring took."""
    twice: bool = False
    """Whether somebody else finished it meanwhile."""
    again: bool = False
    """Whether somebody else had begun it, and died."""


@dataclass(frozen=True, slots=True)
class FilmDone:
    """The result is in the store."""

    made: bool
    """By this very task, and not by another run or earlier."""
    frames: int = 0
    """Of the film."""
    footage: float = 0.0
    """Seconds that it lasts."""
    colored: int = 0
    """Frames that were colored by this task, which is not so for a task that only joins."""
    seconds: float = 0.0
    """That coloring took."""
    warnings: tuple[str, ...] = ()
    twice: bool = False
    """As for a piece, for a film that is one piece."""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """Another run works on it."""

    seconds: float
    """After which to look again."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Pieces that were thought to be finished are gone or damaged."""

    numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The film failed in an earlier run, and is left alone."""

    error: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The task could not be done."""

    cause: Cause
    error: str


Outcome = Planned | PieceDone | FilmDone | Busy | Missing | Quarantined | Failure
