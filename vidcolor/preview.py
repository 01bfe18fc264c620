"""One picture that shows a film at several times, by several models and render factors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vidcolor.errors import MediaError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.media.probe import Film, probe
from vidcolor.media.publish import published, refuse_source
from vidcolor.media.read import read_luma
from vidcolor.still import colorize_pixels

CELL_WIDTH = 480
FRAME_WIDTH = 2 * CELL_WIDTH
"""What the generators are given: no less than they get of a film, up to render factor 60."""

LABEL_HEIGHT = 22
LOOK = 2.0
"""Seconds of film in which a frame must appear after the time that was asked for."""


@dataclass(frozen=True)
class Column:
    """One way to color: what stands above it, and the colorizer."""

    label: str
    colorizer: Colorizer


def contact_sheet(
    source: Path, target: Path, times: Sequence[float], columns: Iterable[Column]
) -> None:
    """Write a PNG: a row for each time, the gray frame first, then a cell for each column.

    times: seconds from the film's beginning. columns may be made while they are used, so that no
    more models are in memory than need be.
    Raises MediaError where the film has no frame at a time, or the sheet cannot be written.
    """
    refuse_source(source, target)
    if target.suffix.lower() != ".png":
        raise MediaError(f"{target}: a contact sheet is a PNG; give it a name that ends with .png")
    film = probe(source)
    with published(target) as unfinished:
        grays = [frame_at(film, time) for time in times]
        cells = [[cell(gray, clock(time)) for gray, time in zip(grays, times, strict=True)]]
        for column in columns:
            cells.append([cell(colored(column.colorizer, gray), column.label) for gray in grays])
        sheet = np.concatenate([np.concatenate(rows, 0) for rows in cells], 1)
        Image.fromarray(sheet).save(unfinished, "PNG")


def frame_at(film: Film, time: float) -> np.ndarray:
    """The (h, w) uint8 luma of the first frame at or after `time`, in its display proportions."""
    if film.duration is not None and time >= film.duration:
        raise MediaError(
            f"{film.path}: there is no frame at {clock(time)}; it lasts {clock(film.duration)}"
        )
    height = round(FRAME_WIDTH * film.height / float(film.width * film.sample_aspect))
    with read_luma(film, (FRAME_WIDTH, max(16, height)), start=time, end=time + LOOK) as frames:
        return next(frames).pixels


def colored(colorizer: Colorizer, gray: np.ndarray) -> np.ndarray:
    """(h, w) uint8 luma -> (h, w, 3) uint8 RGB."""
    return colorize_pixels(np.repeat(gray[..., None], 3, axis=2), colorizer)


def cell(picture: np.ndarray, label: str) -> np.ndarray:
    """(h, w) or (h, w, 3) uint8 -> reduced, with its label above: (h', CELL_WIDTH, 3)."""
    image = Image.fromarray(picture).convert("RGB").reduce(FRAME_WIDTH // CELL_WIDTH)
    framed = Image.new("RGB", (image.width, image.height + LABEL_HEIGHT))
    framed.paste(image, (0, LABEL_HEIGHT))
    ImageDraw.Draw(framed).text((6, 3), label, "white", ImageFont.load_default(14))
    return np.asarray(framed)


def clock(seconds: float) -> str:
    """Such as 00:01:30.50."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:05.2f}"
