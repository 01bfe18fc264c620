"""What hints are worth: `python benchmarks/hints.py PHOTOS [MODEL] [LIMIT] [SHEET.png]`.

As Zhang et al., "Real-Time User-Guided Image Colorization" (2017), measure it: 1, 10 and 100 points
at random places of every photo, each a square of 7x7 pixels of the size that the network sees, with
the mean of the photo's own colors there. Printed: ab PSNR, of the mean squared error of all photos
(LIMIT of them, evenly chosen). SHEET: a picture of some photos, with the hints' colors changed, so
that one sees where they spread: gray | no hints | hinted | the hints.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vidcolor.chroma import matrices
from vidcolor.chroma.upsample import upsample
from vidcolor.evaluate.pairs import photos_in
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.metrics.lab import ab
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

COUNTS = (0, 1, 10, 100)
SIDE = 7
SHOWN = 12
ASKED = torch.tensor([[0.25, -0.15], [-0.2, 0.25], [-0.2, -0.15]])
"""Blue, red and green that photos of the sheet are asked for in their middle."""


def points(chroma: Tensor, count: int, random: np.random.Generator) -> Tensor:
    """chroma (2, h, w) -> hints (1, 3, h, w)."""
    hints = torch.zeros(1, 3, *chroma.shape[1:])
    for _ in range(count):
        top, left = (int(random.integers(max(1, side - SIDE))) for side in chroma.shape[1:])
        place = (slice(top, top + SIDE), slice(left, left + SIDE))
        hints[0, :2, *place] = chroma[:, *place].mean((1, 2), keepdim=True)
        hints[0, 2, *place] = 1
    return hints


class Photo:
    """One photo as the network sees it, and at its own size."""

    def __init__(self, rgb: NDArray, colorizer: Colorizer):
        self.colorizer = colorizer
        self.real = rgb.astype(np.float32) / 255
        height, width = rgb.shape[:2]
        size = colorizer.luma_size(width, height)
        gray = Image.fromarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        self.small = torch.from_numpy(np.array(gray.resize(size, Image.Resampling.BILINEAR)))
        self.guide = torch.from_numpy(np.array(gray))[None, None]
        self.luma = matrices.rgb_to_luma(torch.from_numpy(self.real).movedim(2, 0)[None])
        resized = cv2.resize(self.real, size, interpolation=cv2.INTER_AREA)
        self.chroma = matrices.rgb_to_chroma(torch.from_numpy(resized).movedim(2, 0)[None])[0]

    def colored(self, hints: Tensor | None) -> NDArray:
        """(h, w, 3) float RGB."""
        chroma = self.colorizer.chroma(self.small[None, None], hints)
        chroma = upsample(chroma, self.guide)
        return matrices.merge(self.luma, chroma)[0].movedim(0, 2).contiguous().numpy()


def sheet(photos: list[Photo], path: Path) -> None:
    rows = []
    for number, photo in enumerate(photos):
        height, width = photo.small.shape
        hints = torch.zeros(1, 3, height, width)
        place = (slice(height // 2 - 4, height // 2 + 5), slice(width // 2 - 4, width // 2 + 5))
        hints[0, :2, *place] = ASKED[number % len(ASKED)][:, None, None]
        hints[0, 2, *place] = 1
        asked = matrices.merge(photo.small[None, None] / 255, hints[:, :2])[0].movedim(0, 2)
        gray = np.repeat(photo.luma[0, 0].numpy()[..., None], 3, 2)
        pictures = [gray, photo.colored(None), photo.colored(hints), asked.numpy()]
        rows.append(np.concatenate([cv2.resize(p, (192, 144)) for p in pictures], 1))
    half = (len(rows) + 1) // 2
    columns = [np.concatenate(rows[:half]), np.concatenate(rows[half:])]
    Image.fromarray((255 * np.concatenate(columns, 1)).round().astype(np.uint8)).save(path)


def main() -> None:
    words = sys.argv[1:]
    picture = Path(words.pop()) if words[-1].endswith(".png") else None
    limit = int(words.pop()) if words[-1].isdigit() else 200
    model = Path(words[1]) if len(words) > 1 else carried_folder() / LITE.file
    colorizer = Colorizer(load_generator(model), RenderSettings(precision="fp32"), device="cpu")
    errors = dict.fromkeys(COUNTS, 0.0)
    measured = 0
    shown = []
    for number, (_, rgb) in enumerate(photos_in(Path(words[0]), limit)):
        photo = Photo(rgb, colorizer)
        measured += 1
        if number % max(1, limit // SHOWN) == 0:
            shown.append(photo)
        for count in COUNTS:
            random = np.random.default_rng((number, count))
            hints = points(photo.chroma, count, random) if count else None
            errors[count] += float(((ab(photo.colored(hints)) - ab(photo.real)) ** 2).mean())
    none = errors[0]
    for count, error in errors.items():
        decibels = 10 * np.log10(255**2 / (error / measured))
        print(f"{count:4} points: ab PSNR {decibels:.2f} dB, {10 * np.log10(none / error):+.2f}")
    if picture:
        sheet(shown[:SHOWN], picture)


if __name__ == "__main__":
    main()
