"""What one look at every frame of a film finds: when it is shown, and where shots begin."""

import math
from dataclasses import dataclass

import numpy as np

from vidcolor.media.probe import Film

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
    begins: np.ndarray
    """(n,) bool: whether the frame does not go on from the one before."""
    crcs: np.ndarray
    """(n,) uint32: CRC-32 of the small gray pictures, by which a frame is recognized."""
    warnings: tuple[str, ...] = ()
    """One line for each place where the film is damaged."""
    seekable: bool = True
    """Whether seeking to a shot gives the frames that decoding from the beginning gives."""

    @property
    def frames(self) -> int:
        """How many frames the film has."""
        return len(self.pts)

    def shots(self) -> list[Shot]:
        """Where shots begin and how long they are; every frame belongs to one."""
        cuts = np.flatnonzero(self.can_begin & self.begins)
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


def scan_size(film: Film) -> tuple[int, int]:
    """(width, height) of the small gray pictures, in the film's display proportions."""
    aspect = float(film.width * film.sample_aspect / film.height)
    height = math.sqrt(SCAN_PIXELS / aspect)
    return max(16, round(height * aspect)), max(16, round(height))
