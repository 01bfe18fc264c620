"""Pictures of a film's shots: one still of each, and sheets of all of them with their numbers."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vidcolor.control.scenes import scenes_text
from vidcolor.control.stills import middles
from vidcolor.media.clock import clock
from vidcolor.media.probe import Film
from vidcolor.media.publish import published
from vidcolor.media.read import read_luma
from vidcolor.media.scan import Shot

WIDTH = 240
"""Of a picture on a sheet, in pixels."""

STILL_WIDTH = 2 * WIDTH
COLUMNS = 5
PER_SHEET = 100
LABEL_HEIGHT = 22
GAP = 6


class ShotPicture(NamedTuple):
    """The frame that stands for a shot."""

    label: str
    pixels: NDArray
    """(h, w) uint8 luma."""


def pictures_at(
    film: Film, numbers: Sequence[int], on_frame: Callable[[int], object] = lambda done: None
) -> Iterator[NDArray]:
    """(h, STILL_WIDTH) uint8 luma of these frames, in the film's display proportions.

    numbers: of frames, counting from 0, ascending; the film is decoded up to the last of them.
    """
    height = round(STILL_WIDTH * film.height / float(film.width * film.sample_aspect))
    wanted = set(numbers)
    with read_luma(film, (STILL_WIDTH, max(16, height))) as frames:
        for number, frame in enumerate(islice(frames, max(wanted) + 1)):
            on_frame(number + 1)
            if number in wanted:
                yield frame.pixels


def write_scenes(film: Film, shots: Sequence[Shot], target: Path) -> list[Path]:
    """Write the file of the scenes, a still of each into a folder of its name, and their sheets.

    target: ends with .toml. Returns the paths of the sheets.
    Raises MediaError where something cannot be written.
    """
    folder = target.with_suffix("")
    names = [f"frame_{number:06d}.png" for number in middles(shots)]
    pictures = []
    with published(target) as unfinished:
        folder.mkdir(exist_ok=True)
        found = pictures_at(film, middles(shots))
        for shot, name, pixels in zip(shots, names, found, strict=True):
            seconds = float(shot.begin * film.time_base) - (film.start or 0.0)
            pictures.append(ShotPicture(f"{shot.number + 1}   {clock(seconds)}", pixels))
            Image.fromarray(pixels).save(folder / name, "PNG")
        stills = [f"{folder.name}/{name}" for name in names]
        text = scenes_text(film, shots, stills, target.name)
        unfinished.write_text(text, "utf-8")
        return write_sheets(pictures, target.with_suffix(".png"))


def write_sheets(pictures: Sequence[ShotPicture], path: Path) -> list[Path]:
    """Write PNGs of at most PER_SHEET pictures, all of one size; the first one as `path`."""
    written = []
    for first in range(0, len(pictures), PER_SHEET):
        number = first // PER_SHEET + 1
        target = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        _sheet(pictures[first : first + PER_SHEET]).save(target, "PNG")
        written.append(target)
    return written


def _sheet(pictures: Sequence[ShotPicture]) -> Image.Image:
    cells = [_cell(picture) for picture in pictures]
    width, height = cells[0].size
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    sheet = Image.new("L", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), 40)
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        sheet.paste(cell, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    return sheet


def _cell(picture: ShotPicture) -> Image.Image:
    image = Image.fromarray(picture.pixels).reduce(STILL_WIDTH // WIDTH)
    cell = Image.new("L", (image.width, image.height + LABEL_HEIGHT))
    cell.paste(image, (0, LABEL_HEIGHT))
    ImageDraw.Draw(cell).text((6, 3), picture.label, 255, ImageFont.load_default(14))
    return cell
