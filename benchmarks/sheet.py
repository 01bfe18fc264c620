"""Models side by side: `python benchmarks/sheet.py OUT.png PHOTOS|CLIPS COUNT MODEL...`.

One row per photo (of a folder or zip, COUNT of them evenly chosen) or clip (its frame in the
middle): gray, each model's colors, and the original where it has any. MODEL: FILE, or
FILE@RENDER_FACTOR. Colors are those of single pictures, without smoothing over time.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcolor.arrays import colorize_array
from vidcolor.evaluate.pairs import films_in, photos_in
from vidcolor.evaluate.picture import Picture
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.probe import probe
from vidcolor.media.rgb import read_rgb
from vidcolor.weights.checkpoint import load_generator

CELL = (256, 192)


def pictures(place: Path, count: int) -> Iterator[NDArray]:
    """(h, w, 3) uint8."""
    if place.suffix == ".zip" or not any(place.glob("*.mp4")):
        yield from (rgb for _, rgb in photos_in(place, count))
        return
    for path in films_in(place):
        film = probe(path)
        middle = (film.frame_count or 2) // 2
        for number, frame in enumerate(read_rgb(film, (film.width, film.height))):
            if number == middle:
                yield frame.rgb
                break


def cell(rgb: NDArray) -> NDArray:
    """The picture on black, as large as it goes into CELL."""
    height, width = rgb.shape[:2]
    scale = min(CELL[0] / width, CELL[1] / height)
    small = cv2.resize(
        rgb, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
    )
    canvas = np.zeros((CELL[1], CELL[0], 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas


def main() -> None:
    out, place, count, *models = sys.argv[1:]
    colorizers = []
    for model in models:
        file, _, factor = model.partition("@")
        settings = RenderSettings(render_factor=int(factor) if factor else None, precision="fp32")
        colorizers.append(Colorizer(load_generator(Path(file)), settings, device="cpu"))
    rows = []
    for rgb in pictures(Path(place), int(count)):
        gray = Picture(rgb).gray.rgb
        ours = [colorize_array(gray, colorizer) for colorizer in colorizers]
        rows.append(np.concatenate([cell(p) for p in (gray, *ours, rgb)], 1))
    Image.fromarray(np.concatenate(rows)).save(out)


if __name__ == "__main__":
    main()
