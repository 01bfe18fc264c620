"""The file of hints: places in frames, and the colors that they have."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidcolor.control.color_words import chroma_of
from vidcolor.control.stills import frames_at
from vidcolor.control.toml_file import load_toml
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.media.probe import Film
from vidcolor.media.scan import Scan

KEYS = ("frame", "time", "point", "radius", "box", "color")
RADIUS = 0.02
"""Radius of a point without one, in heights of the picture."""


LATEST = 1e6
"""Seconds that no film lasts."""


class Hint(NamedTuple):
    """A place that has a color."""

    frame: int
    """Number in the film, counting from 0."""
    box: tuple[float, float, float, float]
    """Left, top, width and height, in shares of the picture."""
    round: bool
    """Whether it is the ellipse in the box, and not all of it."""
    chroma: tuple[float, float]
    """BT.601 (Cb, Cr) in [-0.5, 0.5]."""

    def mask(self, width: int, height: int) -> NDArray:
        """(height, width) bool: the pixels that it says something about; at least one."""
        left, top, across, down = self.box
        x = (np.arange(width) + 0.5) / width
        y = (np.arange(height)[:, None] + 0.5) / height
        if self.round:
            # A pixel's own size is added, so that the smallest point is not lost between pixels.
            apart = ((x - left - across / 2) / (across / 2 + 0.5 / width)) ** 2
            return apart + ((y - top - down / 2) / (down / 2 + 0.5 / height)) ** 2 <= 1
        far_x, far_y = 0.5 / width, 0.5 / height
        inside = (x >= left - far_x) & (x <= left + across + far_x)
        return inside & (y >= top - far_y) & (y <= top + down + far_y)


def load_hints(path: Path, film: Film, scan: Scan) -> tuple[Hint, ...]:
    """The hints of a file, for this film.

    Raises VidcolorError, in one line, for whatever cannot be carried out.
    """
    content = load_toml(path)
    _check_keys(content, ("hint",), str(path))
    entries = content.get("hint", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise VidcolorError(f"{path}: hints begin with [[hint]], in two pairs of brackets")
    if not entries:
        raise VidcolorError(f"{path} has no hints; write one below [[hint]]")
    return tuple(
        _hint(entry, f"{path}: hint {number}", film, scan)
        for number, entry in enumerate(entries, 1)
    )


def digest_of_hints(hints: Sequence[Hint]) -> str:
    return hashlib.sha256(repr([tuple(hint) for hint in hints]).encode()).hexdigest()[:32]


def _hint(entry: Mapping[str, Any], where: str, film: Film, scan: Scan) -> Hint:
    _check_keys(entry, KEYS, where)
    color = entry.get("color")
    if not isinstance(color, str):
        raise VidcolorError(f'{where} has no `color`; write it as color = "#4060a0"')
    try:
        chroma = chroma_of(color)
    except VidcolorError as error:
        raise VidcolorError(f"{where}: {error}") from error
    frame = _frame(entry, where, film, scan)
    if ("point" in entry) == ("box" in entry):
        raise VidcolorError(f"{where} needs either a `point` = [x, y] or a `box` = [x, y, w, h]")
    width, height = film.width, film.height
    if "point" in entry:
        x, y = _numbers(entry["point"], 2, f"{where}: point")
        (radius,) = _numbers([entry.get("radius", RADIUS * height)], 1, f"{where}: radius")
        _check_inside(x, y, 0, 0, film, where)
        if not 0 < radius <= max(width, height):
            raise VidcolorError(f"{where}: a radius of {radius:g} pixels is no size; give some 10")
        across = radius / float(film.sample_aspect)
        box = ((x - across) / width, (y - radius) / height, 2 * across / width, 2 * radius / height)
        return Hint(frame, box, True, chroma)
    if "radius" in entry:
        raise VidcolorError(f"{where}: a box has no radius; leave it out, or give a point")
    x, y, across, down = _numbers(entry["box"], 4, f"{where}: box")
    if across <= 0 or down <= 0:
        raise VidcolorError(f"{where}: the box is empty; write [x, y, width, height] in pixels")
    _check_inside(x, y, across, down, film, where)
    return Hint(frame, (x / width, y / height, across / width, down / height), False, chroma)


def _frame(entry: Mapping[str, Any], where: str, film: Film, scan: Scan) -> int:
    if ("frame" in entry) == ("time" in entry):
        raise VidcolorError(f"{where} needs either a `frame` or a `time`")
    if "frame" in entry:
        frame = entry["frame"]
        if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
            raise VidcolorError(f"{where}: there is no frame {frame!r}; frames count from 0")
        if frame >= scan.frames:
            raise VidcolorError(
                f"{where}: there is no frame {frame}; the film's last one is {scan.frames - 1}"
            )
        return frame
    seconds = _seconds(entry["time"], where)
    try:
        if not 0 <= seconds < LATEST:
            raise MediaError(f"times are from 0 to {LATEST:g}")
        (frame,) = frames_at(film, scan, [seconds])
    except MediaError as error:
        raise VidcolorError(f"{where}: there is no frame at {seconds:g} s ({error})") from error
    return frame


def _seconds(value: Any, where: str) -> float:
    """From seconds, or "MM:SS", or "HH:MM:SS"."""
    if isinstance(value, str):
        if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", value):
            raise VidcolorError(f'{where}: {value!r} is no time; write seconds, or "MM:SS"')
        seconds = 0.0
        for part in value.split(":"):
            seconds = 60 * seconds + float(part)
        return seconds
    return _numbers([value], 1, f"{where}: time")[0]


def _check_inside(x: float, y: float, across: float, down: float, film: Film, where: str) -> None:
    if not (x >= 0 and y >= 0 and x + across <= film.width and y + down <= film.height):
        raise VidcolorError(
            f"{where} lies outside the picture; it has {film.width} x {film.height} pixels, "
            "counted from the upper left"
        )


def _numbers(value: Any, count: int, where: str) -> list[float]:
    if not isinstance(value, list) or len(value) != count:
        raise VidcolorError(f"{where}: write {count} numbers in brackets")
    for one in value:
        if isinstance(one, bool) or not isinstance(one, (int, float)) or not np.isfinite(one):
            raise VidcolorError(f"{where}: {one!r} is no number")
    return [float(one) for one in value]


def _check_keys(entry: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in entry:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"
            raise VidcolorError(f"{where} has the unknown key {name[:40]!r}; {hint}")


def planes_of(hints: Sequence[Hint], width: int, height: int) -> NDArray:
    """(3, height, width) float32, as `Colorizer.chroma` takes them; the later hint counts."""
    planes = np.zeros((3, height, width), np.float32)
    for hint in hints:
        mask = hint.mask(width, height)
        planes[:, mask] = np.array([*hint.chroma, 1], np.float32)[:, None]
    return planes
