"""One look at every frame of a film: when it is shown, and where a new shot begins."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from vidcolor.media.probe import Film
from vidcolor.media.read import CUT_SCORE, read_luma

SCAN_PIXELS = 128 * 96
"""Of the small gray pictures that are compared with one another."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """Frames that a camera took without a cut."""

    number: int
    """Counting from 0."""
    first_frame: int
    """Its number in the film, counting from 0."""
    begin: int
    """Timestamp of the first frame, in units of the film's time base."""
    frames: int


@dataclass(frozen=True, kw_only=True)
class Scan:
    """All frames of a film, in the order in which they are decoded from its beginning."""

    pts: np.ndarray
    """(n,) int64: timestamps in units of the film's time base."""
    scores: np.ndarray
    """(n,) float64: cut scores, 0 to 100."""
    crcs: np.ndarray
    """(n,) uint32: CRC-32 of the small gray pictures, by which a frame is recognized."""
    warnings: tuple[str, ...] = ()
    """One line for each place where the film is damaged."""

    @property
    def frames(self) -> int:
        """How many frames the film has."""
        return len(self.pts)

    def shots(self, cut_score: float = CUT_SCORE) -> list[Shot]:
        """Where shots begin and how long they are; every frame belongs to one."""
        cuts = np.flatnonzero(self.can_begin & (self.scores >= cut_score))
        return self.shots_from([0, *(cut for cut in cuts.tolist() if cut)])

    def shots_from(self, firsts: list[int]) -> list[Shot]:
        """Shots that begin at these frame numbers, which ascend from 0."""
        lengths = np.diff([*firsts, self.frames]).tolist()
        return [
            Shot(number=number, first_frame=first, begin=int(self.pts[first]), frames=length)
            for number, (first, length) in enumerate(zip(firsts, lengths, strict=True))
        ]

    @property
    def can_begin(self) -> np.ndarray:
        """(n,) bool: frames whose timestamp parts all frames before them from all from them on."""
        latest = np.maximum.accumulate(self.pts)
        earliest = np.minimum.accumulate(self.pts[::-1])[::-1]
        return np.concatenate([[True], latest[:-1] < earliest[1:]])


def scan_film(
    film: Film,
    *,
    on_frame: Callable[[int], object] = lambda done: None,
) -> Scan:
    """Decode `film` once, from its beginning to its end.

    on_frame: called with the number of frames that are done.
    Raises MediaError where the film cannot be read.
    """
    pts, scores, crcs = [], [], []
    warnings: list[str] = []
    with read_luma(film, scan_size(film), warn=warnings.append) as frames:
        for frame in frames:
            pts.append(frame.pts)
            scores.append(frame.cut_score)
            crcs.append(crc32(frame.pixels.tobytes()))
            on_frame(len(pts))
    return Scan(
        pts=np.array(pts, np.int64),
        scores=np.array(scores, np.float64),
        crcs=np.array(crcs, np.uint32),
        warnings=tuple(warnings),
    )


def find_shots(film: Film) -> list[Shot]:
    """The shots of a film, which is decoded once. Raises as `scan_film` does."""
    return scan_film(film).shots()


def scan_size(film: Film) -> tuple[int, int]:
    """(width, height) of the small gray pictures, in the film's display proportions."""
    aspect = float(film.width * film.sample_aspect / film.height)
    height = math.sqrt(SCAN_PIXELS / aspect)
    return max(16, round(height * aspect)), max(16, round(height))
