"""Pieces that are known before any of them is made, so that each can be made alone.

A planned piece begins and ends at a shot. No state crosses from one into the next: whichever
process, machine or run makes it, and in whichever order, it is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from zlib import crc32

from vidcolor.errors import MediaError, VidcolorError
from vidcolor.media.probe import Film
from vidcolor.media.read import read_luma
from vidcolor.media.scan import Scan, Shot, scan_size
from vidcolor.resume.reading import since_start

TRIED = 5
"""Places at which is tried whether seeking gives the frames that decoding gives."""

COMPARED = 3
"""Frames that are compared at each of them."""


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
    Some places are sought and compared with what the scan found there.
    """
    plan = plan_shots(film, scan, scan.shots(), seconds)
    if plan.seekable:
        return plan
    return replace(plan, pieces=plan_pieces(film, scan.shots_from([0])))


def plan_shots(film: Film, scan: Scan, shots: Sequence[Shot], seconds: float | None = None) -> Plan:
    """Pieces of these shots, also where the film cannot be sought exactly."""
    pieces = plan_pieces(film, shots, seconds)
    seekable = is_seekable(film, scan, pieces)
    return Plan(pieces=pieces, seekable=seekable, warnings=scan.warnings)


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


def is_seekable(film: Film, scan: Scan, pieces: Sequence[PlannedPiece]) -> bool:
    """Whether seeking to some of these pieces gives the frames that the scan found there."""
    later = pieces[1:]
    tried = {round(place * (len(later) - 1) / (TRIED - 1)) for place in range(TRIED)}
    return all(_is_found(film, scan, later[place]) for place in sorted(tried)) if later else True


def _is_found(film: Film, scan: Scan, piece: PlannedPiece) -> bool:
    begin = since_start(film, piece.begin)
    stretch = slice(piece.first_frame, piece.first_frame + COMPARED)
    wanted = list(zip(scan.pts[stretch].tolist(), scan.crcs[stretch].tolist(), strict=True))
    try:
        with read_luma(film, scan_size(film), start=begin) as frames:
            found = [
                (frame.pts, crc32(frame.pixels.tobytes())) for frame in islice(frames, len(wanted))
            ]
    except MediaError:
        return False
    return found == wanted
