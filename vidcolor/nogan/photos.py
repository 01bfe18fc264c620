"""Photos to learn from: folders and zip archives, decoded once into memory."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from vidcolor.errors import RecipeError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
GRAY_SPREAD = 2.0
"""Photos whose chroma strays from gray by less than this (in levels of 255, mean) teach nothing."""


@dataclass(frozen=True)
class Photos:
    """Decoded photos and what was left out."""

    pictures: list[np.ndarray]
    """(3, H, W) uint8 each: BT.601 full-range luma, Cb, Cr."""
    gray: int
    broken: int


def load_photos(
    places: Sequence[Path],
    *,
    smallest: int,
    longest: int = 288,
) -> Photos:
    """Decode every photo of the folders and zips in `places`.

    Photos with a short side below `smallest` pixels are left out, those with a long side above
    `longest` are reduced to it. Gray and broken ones are counted and left out.
    Raises RecipeError where a place does not exist or holds no photo that can be used.
    """
    pictures: list[np.ndarray] = []
    gray = broken = 0
    with ThreadPoolExecutor(4) as workers:
        for place in places:
            chunks = workers.map(lambda data: decode(data, longest), _read_all(place))
            for picture in chunks:
                if picture is None:
                    broken += 1
                elif np.abs(picture[1:].astype(np.int16) - 128).mean() < GRAY_SPREAD:
                    gray += 1
                elif min(picture.shape[1:]) >= smallest:
                    pictures.append(picture)
    if not pictures:
        raise RecipeError(
            f"{', '.join(map(str, places))}: no colour photo of {smallest} pixels or more "
            "on its short side; give folders or zip files of jpg, png or webp photos"
        )
    return Photos(pictures, gray, broken)


def decode(data: bytes, longest: int) -> np.ndarray | None:
    """One encoded photo -> (3, H, W) uint8 luma, Cb, Cr; None where it is broken."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (longest, longest))
            ycc = image.convert("RGB").convert("YCbCr")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    ycc.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(ycc).transpose(2, 0, 1))


def _read_all(place: Path) -> Iterator[bytes]:
    """The bytes of every photo below a folder or inside a zip, in the order of their names."""
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                yield path.read_bytes()
    elif zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            for name in sorted(archive.namelist()):
                if Path(name).suffix.lower() in SUFFIXES:
                    yield archive.read(name)
    else:
        raise RecipeError(f"{place}: neither a folder nor a zip file of photos")


class Crops:
    """Random square crops, the same for the same seed and number of draws."""

    def __init__(self, photos: Photos, size: int, seed: int):
        self.pictures = photos.pictures
        self.size = size
        self.random = np.random.default_rng(seed)
        self.sides = np.array([min(picture.shape[1:]) for picture in self.pictures])

    def draw(self, count: int) -> np.ndarray:
        """(count, 3, window, window) uint8, where the window is 3/4 to 9/8 of the crop's size."""
        window = int(self.random.integers(self.size * 3 // 4, self.size * 9 // 8 + 1)) // 4 * 4
        window = min(window, int(self.sides.max()))
        big_enough = np.flatnonzero(self.sides >= window)
        crops = np.empty((count, 3, window, window), np.uint8)
        for crop, index in zip(crops, self.random.choice(big_enough, count), strict=True):
            picture = self.pictures[index]
            top = self.random.integers(picture.shape[1] - window + 1)
            left = self.random.integers(picture.shape[2] - window + 1)
            crop[:] = picture[:, top : top + window, left : left + window]
        mirrored = self.random.random(count) < 0.5
        crops[mirrored] = crops[mirrored, :, :, ::-1]
        return crops
