"""The file of a film's scenes: what is set for some stretches of it, and for no others."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vidcolor.chroma.edges import check_edges
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.control.hue_map import HueMap, move_of
from vidcolor.control.piece import Part
from vidcolor.control.tint import Tint
from vidcolor.control.toml_file import load_toml
from vidcolor.errors import VidcolorError
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.clock import clock
from vidcolor.media.probe import Film
from vidcolor.media.scan import Scan, Shot
from vidcolor.weights.catalog import lookup

HEAD = """\
# The scenes of {name}, for `vidcolor {name} --scenes {file}`.
#
# A scene may have any of these settings; without one, the command's own option holds:
#   model = "video"                 saturation = 0.8       smooth = "strong"
#   render_factor = 18              hue = 10               edges = "bilinear"
#   tint = {{ temperature = 20, magenta = -10 }}     -100 (blue, green) to 100 (orange, magenta)
#   map = ["blue -> brown", "#4060a0 -> #705030"]  hues that are moved
# Frames count from 0. Scenes may be joined, divided or left out. `time` and `still` are not read.
"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A stretch of a film and what is set for it; None where nothing is."""

    first: int
    """Number of the first frame, counting from 0."""
    last: int
    """Number of the last frame."""
    model: str | None = None
    render_factor: int | None = None
    saturation: float | None = None
    hue: float | None = None
    smooth: str | None = None
    edges: str | None = None
    tint: Tint | None = None
    map: HueMap | None = None

    @property
    def words(self) -> str:
        """Such as "frames 0 to 46"."""
        return f"frames {self.first} to {self.last}"

    @property
    def says_nothing(self) -> bool:
        """Whether its frames are colored as they would be without it."""
        return self == Scene(first=self.first, last=self.last)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is done to the network's colors, in this order."""
        return tuple(part for part in (self.map, self.tint) if part is not None)


def load_scenes(path: Path) -> tuple[Scene, ...]:
    """The scenes of a file, in the order of time.

    Raises VidcolorError, in one line, for whatever cannot be carried out.
    """
    content = load_toml(path)
    _check_keys(content, ("scene",), str(path))
    entries = content.get("scene", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise VidcolorError(f"{path}: scenes begin with [[scene]], in two pairs of brackets")
    scenes = [_scene(entry, f"{path}: scene {n}") for n, entry in enumerate(entries, 1)]
    scenes.sort(key=lambda scene: scene.first)
    for one, other in pairwise(scenes):
        if other.first <= one.last:
            raise VidcolorError(
                f"{path}: the scene with {other.words} overlaps the one with {one.words}; "
                f"begin it after frame {one.last}"
            )
    return tuple(scenes)


def check_scenes(scenes: Sequence[Scene], scan: Scan, path: Path) -> None:
    """Raises VidcolorError where the film does not have the frames of a scene."""
    for scene in scenes:
        if scene.last >= scan.frames:
            raise VidcolorError(
                f"{path}: the scene with {scene.words} ends after the film, whose last frame is "
                f"{scan.frames - 1}; correct it, or run `vidcolor scenes` again if the file is "
                "of another film"
            )
        for frame in (scene.first, scene.last + 1):
            if frame < scan.frames and not scan.can_begin[frame]:
                raise VidcolorError(
                    f"{path}: no scene can begin at frame {frame}, about which the film's frames "
                    "are out of order; begin it one or two frames later"
                )


def stretches(scenes: Sequence[Scene], scan: Scan) -> list[Shot]:
    """The whole film: each scene alone, and between them, shot by shot, what is in none."""
    begins = np.zeros(scan.frames + 1, bool)
    begins[[shot.first_frame for shot in scan.shots()]] = True
    for scene in scenes:
        begins[scene.first : scene.last + 1] = False
    for scene in scenes:
        begins[[scene.first, scene.last + 1]] = True
    return scan.shots_from(np.flatnonzero(begins[:-1]).tolist())


def scene_at(scenes: Sequence[Scene], frame: int) -> Scene | None:
    """The scene that a frame belongs to, if any."""
    return next((scene for scene in scenes if scene.first <= frame <= scene.last), None)


def scenes_text(film: Film, shots: Sequence[Shot], stills: Sequence[str], file: str) -> str:
    """The file for a film whose scenes are these shots, each with the name of its still."""
    parts = [HEAD.format(name=_quoted(film.path.name)[1:-1], file=_quoted(file)[1:-1])]
    ends = [*(shot.begin for shot in shots[1:]), None]
    for shot, still, end in zip(shots, stills, ends, strict=True):
        begin = clock(_seconds(film, shot.begin))
        until = "the end" if end is None else clock(_seconds(film, end))
        parts.append(
            f"[[scene]]  # {shot.number + 1}\n"
            f"first = {shot.first_frame}\n"
            f"last = {shot.first_frame + shot.frames - 1}\n"
            f'time = "{begin} to {until}"\n'
            f"still = {_quoted(still)}\n"
        )
    return "\n".join(parts)


def _quoted(text: str) -> str:
    """As TOML has it; names of files may hold anything."""
    quoted = json.dumps(text.encode(errors="replace").decode(), ensure_ascii=False)
    return quoted.replace("\x7f", "\\u007f")  # the one control character that JSON takes as it is


def _seconds(film: Film, pts: int) -> float:
    return float(pts * film.time_base) - (film.start or 0.0)


def _scene(entry: Mapping[str, Any], where: str) -> Scene:
    _check_keys(entry, (*_READERS, *_NOT_READ), where)
    for name in ("first", "last"):
        if name not in entry:
            raise VidcolorError(f"{where} has no `{name}`; give the number of its {name} frame")
    values = {}
    for name, value in entry.items():
        if name in _READERS:
            try:
                values[name] = _READERS[name](value)
            except VidcolorError as error:
                raise VidcolorError(f"{where}: {name}: {error}") from error
    scene = Scene(**values)
    if scene.last < scene.first:
        raise VidcolorError(
            f"{where} ends at frame {scene.last}, before its first frame, {scene.first}; "
            "exchange the two"
        )
    return scene


def _check_keys(entry: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in entry:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"
            raise VidcolorError(f"{where} has the unknown key {name[:40]!r}; {hint}")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise VidcolorError(f"{value!r} is no number; write it without quotation marks")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise VidcolorError(f"{value!r} is no whole number; write one without quotation marks")
    return value


def _frame(value: Any) -> int:
    if _whole(value) < 0:
        raise VidcolorError(f"there is no frame {value}; frames count from 0")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise VidcolorError(f"{value!r} is no text; put it in quotation marks")
    return value


def _model(value: Any) -> str:
    name = _text(value)
    with suppress(OSError, RuntimeError):  # a name too long for a file, or the home of nobody
        if Path(name).expanduser().is_file():
            return name
    lookup(name)
    return name


def _render_factor(value: Any) -> int | None:
    return RenderSettings(render_factor=_whole(value)).render_factor


def _saturation(value: Any) -> float:
    return RenderSettings(saturation=_number(value)).saturation


def _hue(value: Any) -> float:
    return RenderSettings(hue=_number(value)).hue


def _smooth(value: Any) -> str:
    return SmoothSettings(strength=_text(value)).strength


def _edges(value: Any) -> str:
    check_edges(_text(value))
    return value


def _tint(value: Any) -> Tint:
    if not isinstance(value, dict):
        raise VidcolorError("write it as { temperature = 20, magenta = -10 }")
    _check_keys(value, ("temperature", "magenta"), "it")
    return Tint(**{name: _number(number) for name, number in value.items()})


def _map(value: Any) -> HueMap:
    if not isinstance(value, list):
        raise VidcolorError('write it as a list, such as ["blue -> brown"]')
    return HueMap(tuple(move_of(_text(words)) for words in value))


_READERS: dict[str, Callable[[Any], Any]] = {
    **{"first": _frame, "last": _frame, "model": _model, "render_factor": _render_factor},
    **{"saturation": _saturation, "hue": _hue, "smooth": _smooth, "edges": _edges},
    **{"tint": _tint, "map": _map},
}

_NOT_READ = ("time", "still")
"""What `vidcolor scenes` writes for people to read."""
