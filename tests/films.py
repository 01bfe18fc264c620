"""Coloring films with made-up chroma, and reading them back with PyAV."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from vidcolor.media.containers import EncodeSettings
from vidcolor.media.join import join
from vidcolor.media.probe import Film, probe
from vidcolor.media.read import read_luma
from vidcolor.media.write import Piece, write_piece

FFV1 = EncodeSettings(codec="ffv1")
SMALL = (16, 12)
"""(width, height) of luma and chroma as far as these tests are concerned."""


class Picture(NamedTuple):
    """One frame of a film as PyAV decodes it."""

    time: Fraction
    planes: list[np.ndarray]
    """Code values, one array for each plane."""


def pictures(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return [_picture(frame) for frame in container.decode(video)]


def _picture(frame: av.VideoFrame) -> Picture:
    depth = max(component.bits for component in frame.format.components)
    kind = np.dtype(np.uint8 if depth == 8 else np.uint16)
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), kind).reshape(plane.height, -1)
        samples = 3 if frame.format.name == "rgb24" else 1
        planes.append(rows[:, : samples * plane.width])
    assert frame.pts is not None and frame.time_base is not None
    return Picture(frame.pts * frame.time_base, planes)


def flat_chroma(number: int) -> np.ndarray:
    """(2, h, w) uint8: a color that tells which frame it belongs to."""
    blue, red = 60 + number % 100, 190 - number % 100
    return np.stack([np.full(SMALL[::-1], value, np.uint8) for value in (blue, red)])


def write_film(
    film: Film,
    folder: Path,
    settings: EncodeSettings = FFV1,
    *,
    pieces: int = 1,
    start: float | None = None,
    end: float | None = None,
) -> list[Piece]:
    """Give the frames of `film` flat colors, in so many pieces."""
    with read_luma(film, SMALL, start=start, end=end) as luma:
        stamps = [frame.pts for frame in luma]
    finished = []
    for number, part in enumerate(np.array_split(stamps, pieces)):
        first = stamps.index(part[0])
        seconds = float(part[0] * film.time_base) - (film.start or 0.0)
        path = folder / f"piece{number}"
        with write_piece(film, path, SMALL, settings, start=seconds) as writer:
            for offset, pts in enumerate(part):
                writer.write(int(pts), flat_chroma(first + offset))
        finished.append(writer.piece)
    return finished


def color_film(source: Path, target: Path, settings: EncodeSettings = FFV1, **how) -> list[str]:
    """From path to path; returns the warnings."""
    film = probe(source)
    written = write_film(film, target.parent, settings, **how)
    how.pop("pieces", None)
    return join(film, written, target, **how)
