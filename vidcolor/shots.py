"""Where a film's shots begin: at frames whose picture no motion leads to from the frame before."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from zlib import crc32

import cv2
import numpy as np

from vidcolor.chroma.temporal.motion import Tracker
from vidcolor.chroma.temporal.opencv import OpenCV
from vidcolor.errors import MediaError
from vidcolor.media.probe import Film
from vidcolor.media.read import read_luma
from vidcolor.media.scan import Scan, Shot, scan_size

BRIGHTNESS, CONTRAST = 128.0, 45.0
"""Mean and standard deviation that all pictures are given, so that flicker looks like no cut."""

LEAST_CONTRAST = 4.0
"""Standard deviation, in levels of 255, of an empty picture, whose noise is not magnified."""

THUMB = (32, 24)
"""(width, height) of what is compared first."""

ALIKE = 0.9
"""Correlation of two thumbs from which on no cut is between them, and no motion is looked for."""

EXPLAINED = 0.3
"""Share of a picture that the one before explains, below which a shot begins."""

TRIED = 5
"""Shots at which is tried whether seeking gives the frames that decoding gives."""

COMPARED = 3
"""Frames that are compared at each of them."""

LONGEST_FLASH = 3
"""Frames that may differ between two pictures of one shot: a flash, or frames that are black."""


def scan_film(film: Film, *, on_frame: Callable[[int], object] = lambda done: None) -> Scan:
    """Decode `film` once, from its beginning to its end, and try to seek to some of its shots.

    on_frame: called with the number of frames that are done.
    Raises MediaError where the film cannot be read.
    """
    pts: list[int] = []
    crcs: list[int] = []
    warnings: list[str] = []
    changes = Changes()
    with read_luma(film, scan_size(film), warn=warnings.append) as frames:
        for frame in frames:
            pts.append(frame.pts)
            crcs.append(crc32(frame.pixels.tobytes()))
            changes.add(frame.pixels)
            on_frame(len(pts))
    scan = Scan(
        pts=np.array(pts, np.int64),
        begins=np.array(changes.explained) < EXPLAINED,
        crcs=np.array(crcs, np.uint32),
        warnings=tuple(warnings),
    )
    return replace(scan, seekable=is_seekable(film, scan))


def find_shots(film: Film) -> list[Shot]:
    """The shots of a film, which is decoded once. Raises as `scan_film` does."""
    return scan_film(film).shots()


def is_seekable(film: Film, scan: Scan) -> bool:
    """Whether seeking to some of the shots gives the frames that the scan found there."""
    later = scan.shots()[1:]
    tried = {round(place * (len(later) - 1) / (TRIED - 1)) for place in range(TRIED)}
    return all(_is_found(film, scan, later[place]) for place in sorted(tried)) if later else True


def _is_found(film: Film, scan: Scan, shot: Shot) -> bool:
    begin = float(shot.begin * film.time_base) - (film.start or 0.0)
    stretch = slice(shot.first_frame, shot.first_frame + COMPARED)
    wanted = list(zip(scan.pts[stretch].tolist(), scan.crcs[stretch].tolist(), strict=True))
    try:
        with read_luma(film, scan_size(film), start=begin) as frames:
            some = islice(frames, len(wanted))
            found = [(frame.pts, crc32(frame.pixels.tobytes())) for frame in some]
    except MediaError:
        return False
    return found == wanted


class Changes:
    """How much of each picture the one before explains."""

    def __init__(self) -> None:
        self.explained: list[float] = []
        """Of each picture, 0 to 1; 1 for the first, and for all that a flash has changed."""
        self._tracker = Tracker(OpenCV())
        self._last: np.ndarray | None = None
        self._before: np.ndarray | None = None
        self._cut = 0

    def add(self, pixels: np.ndarray) -> None:
        """Take the next picture: (h, w) uint8."""
        picture = even(pixels)
        explained = 1.0 if self._last is None else self._share(self._last, picture)
        number = len(self.explained)
        self.explained.append(explained)
        if self._before is not None and number - self._cut <= LONGEST_FLASH:
            if self._share(self._before, picture) >= EXPLAINED:
                self.explained[self._cut :] = [1.0] * (number + 1 - self._cut)
                self._before = None
        elif explained < EXPLAINED:
            self._before, self._cut = self._last, number
        self._last = picture

    def _share(self, earlier: np.ndarray, later: np.ndarray) -> float:
        """Of the later picture, which the earlier one explains."""
        if _alike(earlier, later):
            return 1.0
        pair = np.stack([earlier, later])[:, None].astype(np.float32)
        return self._tracker.links(pair)[0].explained


def even(pixels: np.ndarray) -> np.ndarray:
    """(h, w) uint8 -> the same picture in the usual brightness and contrast."""
    values = pixels.astype(np.float32)
    gain = CONTRAST / max(float(values.std()), LEAST_CONTRAST)
    return ((values - values.mean()) * gain + BRIGHTNESS).clip(0, 255).astype(np.uint8)


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    first, second = _thumb(one), _thumb(other)
    if not first.any() or not second.any():
        return bool(first.any() == second.any())
    return float((first * second).mean()) >= ALIKE * float(first.std() * second.std())


def _thumb(picture: np.ndarray) -> np.ndarray:
    """Float, of mean 0."""
    small = cv2.resize(picture, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small - small.mean()
