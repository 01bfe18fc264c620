"""Frames of several films paired by time; films and photos in folders and archives."""

import io
import zipfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vidcolor.batch import FILMS, STILLS
from vidcolor.errors import MediaError
from vidcolor.media.probe import Film
from vidcolor.media.rgb import RgbFrame, read_rgb


def together(films: Sequence[Film], lines: int) -> Generator[tuple[RgbFrame, ...], None, None]:
    """Frames that all `films` show at the same time, at the size of the first one.

    lines: pictures that are higher are reduced to this height.
    Times count from each film's first frame. Frames that only some of the films have are left
    out. Raises MediaError if a film cannot be decoded, or no frames can be paired.
    """
    first = films[0]
    tolerance = 0.5 / float(first.frame_rate or 25)
    streams = [read_rgb(film, _size(film, first, lines)) for film in films]
    found = False
    try:
        for frames in aligned(streams, tolerance):
            found = True
            height = min(frame.rgb.shape[0] for frame in frames)
            width = min(frame.rgb.shape[1] for frame in frames)
            yield tuple(frame._replace(rgb=frame.rgb[:height, :width]) for frame in frames)
    finally:
        for stream in streams:
            stream.close()
    if not found:
        raise MediaError(
            f"{films[-1].path} and {first.path} have no frame in common; "
            "check that they are the same film"
        )


def aligned(
    streams: Sequence[Iterator[RgbFrame]], tolerance: float
) -> Iterator[tuple[RgbFrame, ...]]:
    """One frame of each stream, at most `tolerance` seconds apart, until one of them ends."""
    try:
        while True:
            heads = [next(stream) for stream in streams]
            while (latest := max(head.time for head in heads)) - min(
                head.time for head in heads
            ) > tolerance:
                heads = [
                    next(stream) if latest - head.time > tolerance else head
                    for head, stream in zip(heads, streams, strict=True)
                ]
            yield tuple(heads)
    except StopIteration:
        return


def _size(film: Film, first: Film, lines: int) -> tuple[int, int]:
    """(width, height) for `film`; one that has been padded to even sizes keeps its own scale."""
    padded = 0 <= film.width - first.width <= 1 and 0 <= film.height - first.height <= 1
    if padded and first.height <= lines:
        return film.width, film.height
    scale = min(1.0, lines / first.height)
    return round(first.width * scale), round(first.height * scale)


def films_in(place: Path) -> list[Path]:
    """The film that `place` is, or the films in the folder; MediaError where there are none."""
    if place.is_file():
        return [place]
    found = sorted(p for p in place.glob("*") if p.suffix.lower() in FILMS and p.is_file())
    if not found:
        raise MediaError(f"{place} is neither a film nor a folder of films")
    return found


def photos_in(place: Path, limit: int | None) -> Iterator[tuple[str, NDArray]]:
    """(name, (h, w, 3) uint8) of the photos in a folder or zip file, evenly chosen if too many.

    Raises MediaError where there are none, or one of them is broken.
    """
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            for name in _chosen(place, archive.namelist(), limit):
                yield name, _photo(name, io.BytesIO(archive.read(name)))
        return
    paths = {str(path): path for path in place.rglob("*") if path.is_file()}
    for name in _chosen(place, list(paths), limit):
        yield name, _photo(name, paths[name])


def _chosen(place: Path, names: list[str], limit: int | None) -> list[str]:
    stills = sorted(name for name in names if Path(name).suffix.lower() in STILLS)
    if not stills:
        raise MediaError(f"{place} is neither a folder nor a zip file of jpg, png or webp photos")
    if limit is None or len(stills) <= limit:
        return stills
    return [stills[number] for number in np.linspace(0, len(stills) - 1, limit).astype(int)]


def _photo(name: str, source: io.BytesIO | Path) -> NDArray:
    try:
        with Image.open(source) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"{name} cannot be read as a photo ({error}); leave it out") from error
