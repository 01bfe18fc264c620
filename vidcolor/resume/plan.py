"""Pieces that are known before any of them is made, so that each can be made alone.

A planned piece begins and ends at a shot. No state crosses from one into the next: whichever
process, machine or run makes it, and in whichever order, it is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vidcolor.errors import MediaError, VidcolorError
from vidcolor.media.graph import pts_at
from vidcolor.media.probe import Film
from vidcolor.media.scan import Scan, Shot


@dataclass(frozen=True, kw_only=True)
class PlannedPiece:
    """A stretch of a film that is colored and encoded alone."""

    number: int
    """Counting from 0."""
    begin: int
    """Timestamp of the first frame, in units of the film's time base."""
    end: int | None
    """Timestamp of the first frame after it; None at the film's end."""
    first_frame: int
    """Number of the first frame in the film, counting from 0."""
    frames: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A film divided into pieces that can be made in any order."""

    pieces: tuple[PlannedPiece, ...]
    """In the order of time; together they are the whole film."""
    seekable: bool = True
    """Whether seeking gives the very frames of a piece; where not, the film is decoded from its
    beginning for each of them."""
    warnings: tuple[str, ...] = ()
    """One line for each place where the film is damaged."""
    scan: Scan | None = field(default=None, repr=False, compare=False)
    """What it was made from; kept beside the pieces, so that the film is looked at once."""

    def __post_init__(self) -> None:
        if not self.pieces:
            raise VidcolorError("a plan has at least one piece")

    @property
    def frames(self) -> int:
        """How many frames all pieces have."""
        return sum(piece.frames for piece in self.pieces)


def plan_film(film: Film, scan: Scan, seconds: float | None = None) -> Plan:
    """Pieces of whole shots; a film that cannot be sought exactly is one piece.

    seconds: length from which on a piece ends at the next cut; None: each shot is a piece.
    """
    plan = plan_shots(film, scan, scan.shots(), seconds)
    if plan.seekable:
        return plan
    return replace(plan, pieces=plan_pieces(film, scan.shots_from([0])))


def plan_shots(film: Film, scan: Scan, shots: Sequence[Shot], seconds: float | None = None) -> Plan:
    """Pieces of these shots, also where the film cannot be sought exactly."""
    pieces = plan_pieces(film, shots, seconds)
    return Plan(pieces=pieces, seekable=scan.seekable, warnings=scan.warnings, scan=scan)


def plan_pieces(
    film: Film, shots: Sequence[Shot], seconds: float | None = None
) -> tuple[PlannedPiece, ...]:
    """Neighboring shots, joined until they are so many seconds long; None: each alone."""
    firsts = [shots[0]]
    for shot in shots[1:]:
        if seconds is None or (shot.begin - firsts[-1].begin) * film.time_base >= seconds:
            firsts.append(shot)
    frames = shots[-1].first_frame + shots[-1].frames
    ends = [(shot.begin, shot.first_frame) for shot in firsts[1:]] + [(None, frames)]
    return tuple(
        PlannedPiece(
            number=number,
            begin=first.begin,
            end=end,
            first_frame=first.first_frame,
            frames=end_frame - first.first_frame,
        )
        for number, (first, (end, end_frame)) in enumerate(zip(firsts, ends, strict=True))
    )


def stretch_of(plan: Plan, film: Film, scan: Scan, start: float | None, end: float | None) -> Plan:
    """The pieces of a plan from `start` to `end`, in seconds of the film, the outer ones cut.

    Raises MediaError where no frame lies between them.
    """
    inside = np.full(scan.frames, True)
    if start is not None:
        inside &= scan.pts >= pts_at(film, start)
    if end is not None:
        inside &= scan.pts < pts_at(film, end)
    wanted = np.flatnonzero(inside)
    if not len(wanted):
        raise MediaError(f"{film.path} has no frame between --start and --end; change one of them")
    numbers = np.flatnonzero(scan.can_begin)
    low = int(numbers[np.searchsorted(numbers, wanted[0], "right") - 1])
    after = numbers[np.searchsorted(numbers, wanted[-1], "right") :]
    high = int(after[0]) if len(after) else scan.frames
    pieces = [
        cut
        for piece in plan.pieces
        if (cut := _cut(piece, scan, max(low, piece.first_frame), high)) is not None
    ]
    return replace(plan, pieces=tuple(pieces))


def _cut(piece: PlannedPiece, scan: Scan, low: int, high: int) -> PlannedPiece | None:
    """The frames `low` to `high` (exclusive) of a piece."""
    high_end = min(high, piece.first_frame + piece.frames)
    if low >= high_end:
        return None
    end = int(scan.pts[high_end]) if high_end < scan.frames else None
    return replace(piece, begin=int(scan.pts[low]), end=end, first_frame=low, frames=high_end - low)
