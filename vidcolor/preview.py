"""A contact sheet: frames of a film, or a still, by several models and render factors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vidcolor.arrays import colorize_array
from vidcolor.errors import MediaError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.media.clock import clock
from vidcolor.media.probe import Film, probe
from vidcolor.media.publish import published, refuse_source
from vidcolor.media.read import read_luma
from vidcolor.media.still.picture import read_picture, to_8_bits

CELL_WIDTH = 480
FRAME_WIDTH = 2 * CELL_WIDTH
"""Width in pixels of what the generators are given: enough for render factors up to 60."""

LABEL_HEIGHT = 22
LOOK = 2.0
"""Seconds after the requested time within which a frame must be found."""


@dataclass(frozen=True)
class Column:
    """A colorizer, and the label of its column."""

    label: str
    colorizer: Colorizer


class Row(NamedTuple):
    """One gray picture of the sheet."""

    label: str
    gray: np.ndarray
    """(h, w) uint8 luma."""


def contact_sheet(
    source: Path, target: Path, rows: Sequence[Row], columns: Iterable[Column]
) -> None:
    """Write a PNG: for each row the gray picture, then one that each column colored.

    source: what the rows were read from, which is never written over.
    rows: pictures of one size. columns: may be made while they are used, so that only one model is
    in memory at a time.
    Raises MediaError where the sheet cannot be written.
    """
    refuse_source(source, target)
    if target.suffix.lower() != ".png":
        raise MediaError(f"{target}: the preview is a PNG; give it a name that ends with .png")
    with published(target) as unfinished:
        cells = [[cell(row.gray, row.label) for row in rows]]
        for column in columns:
            cells.append(
                [cell(colorize_array(row.gray, column.colorizer), column.label) for row in rows]
            )
        sheet = np.concatenate([np.concatenate(pictures, 0) for pictures in cells], 1)
        Image.fromarray(sheet).save(unfinished, "PNG")


def usual_times(source: Path) -> tuple[float, ...]:
    """Three times, in seconds, spread over the film; its beginning where its length is unknown."""
    duration = probe(source).duration
    return tuple(duration * share for share in (0.15, 0.5, 0.85)) if duration else (0.0,)


def frames_of(source: Path, times: Sequence[float]) -> list[Row]:
    """The frames of a film at these times in seconds. MediaError where it has none at one."""
    film = probe(source)
    return [Row(clock(time), frame_at(film, time)) for time in times]


def still_of(source: Path) -> list[Row]:
    """A still at the size that films are previewed at. MediaError where it cannot be read."""
    gray = Image.fromarray(to_8_bits(read_picture(source).rgb)).convert("L")
    scale = min(FRAME_WIDTH / gray.width, 4 * FRAME_WIDTH / gray.height)
    size = (max(16, round(scale * gray.width)), max(16, round(scale * gray.height)))
    return [Row(source.name, np.asarray(gray.resize(size, Image.Resampling.LANCZOS)))]


def frame_at(film: Film, time: float) -> np.ndarray:
    """The (h, w) uint8 luma of the first frame at or after `time`, in its display proportions."""
    if film.duration is not None and time >= film.duration:
        raise MediaError(
            f"{film.path}: there is no frame at {clock(time)}; it lasts {clock(film.duration)}"
        )
    aspect = float(film.width * film.sample_aspect) / film.height
    width = min(FRAME_WIDTH, 4 * FRAME_WIDTH * aspect)
    size = (max(16, round(width)), max(16, round(width / aspect)))
    with read_luma(film, size, start=time, end=time + LOOK) as frames:
        return next(frames).pixels


def cell(picture: np.ndarray, label: str) -> np.ndarray:
    """(h, w) or (h, w, 3) uint8 -> reduced, with its label above: (h', CELL_WIDTH, 3)."""
    image = Image.fromarray(picture).convert("RGB").reduce(FRAME_WIDTH // CELL_WIDTH)
    framed = Image.new("RGB", (image.width, image.height + LABEL_HEIGHT))
    framed.paste(image, (0, LABEL_HEIGHT))
    ImageDraw.Draw(framed).text((6, 3), label, "white", ImageFont.load_default(14))
    return np.asarray(framed)
