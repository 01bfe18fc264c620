"""One picture that shows a film at several times, by several models and render factors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vidcolor.colorizer import Colorizer
from vidcolor.errors import MediaError
from vidcolor.media.probe import Film, probe
from vidcolor.media.publish import published
from vidcolor.media.read import read_luma
from vidcolor.still import colorize_pixels

CELL_WIDTH = 480
LABEL_HEIGHT = 22
LOOK = 2.0
"""Seconds of film in which a frame must appear after the time that was asked for."""


@dataclass(frozen=True)
class Column:
    """One way to colour: what stands above it, and the colorizer."""

    label: str
    colorizer: Colorizer


def contact_sheet(
    source: Path,
    target: Path,
    times: Sequence[float],
    columns: Sequence[Callable[[], Column]],
) -> None:
    """Write a PNG: a row for each time, the gray frame first, then a cell for each column.

    times: seconds from the film's beginning. columns are made one at a time, so that only one
    model is in memory. Raises MediaError where the film has no frame at a time.
    """
    film = probe(source)
    grays = [frame_at(film, time) for time in times]
    cells = [[cell(gray, clock(time)) for gray, time in zip(grays, times, strict=True)]]
    for make in columns:
        column = make()
        cells.append([cell(colored(column.colorizer, gray), column.label) for gray in grays])
    sheet = np.concatenate([np.concatenate(rows, 0) for rows in cells], 1)
    with published(target) as unfinished:
        Image.fromarray(sheet).save(unfinished, "PNG")


def frame_at(film: Film, time: float) -> np.ndarray:
    """The (h, w) uint8 luma of the first frame at or after `time`, in its display proportions."""
    if film.duration is not None and time >= film.duration:
        raise MediaError(
            f"{film.path}: there is no frame at {clock(time)}; it lasts {clock(film.duration)}"
        )
    height = round(CELL_WIDTH * film.height / (film.width * film.sample_aspect) / 2) * 2
    size = (CELL_WIDTH, max(16, height))
    with read_luma(film, size, start=time, end=time + LOOK) as frames:
        return next(frames).pixels


def colored(colorizer: Colorizer, gray: np.ndarray) -> np.ndarray:
    """(h, w) uint8 luma -> (h, w, 3) uint8 RGB."""
    return colorize_pixels(np.repeat(gray[..., None], 3, axis=2), colorizer)


def cell(picture: np.ndarray, label: str) -> np.ndarray:
    """A picture with its label above: (h, w) or (h, w, 3) uint8 -> (h + LABEL_HEIGHT, w, 3)."""
    image = Image.fromarray(picture).convert("RGB")
    framed = Image.new("RGB", (image.width, image.height + LABEL_HEIGHT))
    framed.paste(image, (0, LABEL_HEIGHT))
    ImageDraw.Draw(framed).text((6, 3), label, "white", ImageFont.load_default(14))
    return np.asarray(framed)


def clock(seconds: float) -> str:
    """Such as 00:01:30.50."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:05.2f}"
