"""Colors of models on photos: `python benchmarks/photos.py [--size 128] PHOTOS MODEL ...`.

PHOTOS is a folder, zip or tar; each MODEL a name or file. The middles of COUNT photos are
colored from their luma. Prints the error of a and b of CIELAB, its gain over gray
pictures in dB, and the colorfulness; the photos' own colorfulness is in the first line.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.metrics.colorfulness import colorfulness
from vidcolor.metrics.lab import ab
from vidcolor.nogan.augment import plain, to_arrays
from vidcolor.nogan.photos import load_photos, middles

COUNT = 384


def colored(model: str, luma: Tensor) -> Tensor:
    """Luma (B, 1, n, n) in [0, 1] -> RGB of that luma under the model's chroma."""
    size = luma.shape[-1]
    colorizer = Colorizer.load(model, RenderSettings(render_factor=size // 16))
    width, height = colorizer.luma_size(size, size)
    given = F.interpolate(luma, (height, width), mode="bilinear") if width != size else luma
    chroma = colorizer.chroma((given * 255).round().to(torch.uint8)).float().cpu()
    return matrices.merge(luma, F.interpolate(chroma, (size, size), mode="bilinear"))


def squared_error(ours: NDArray, photos: NDArray) -> float:
    return float(
        np.mean([((ab(a) - ab(b)) ** 2).mean() for a, b in zip(ours, photos, strict=True)])
    )


def mean_colorfulness(pictures: NDArray) -> float:
    return float(np.mean([colorfulness(255 * picture) for picture in pictures]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", nargs="+")
    given = parser.parse_args()
    found = load_photos([given.photos], smallest=given.size * 3 // 4)
    sample = plain(middles(found, COUNT, given.size))
    photos, gray = to_arrays(sample.rgb()), sample.luma.expand(-1, 3, -1, -1)
    before = squared_error(to_arrays(gray), photos)
    print(
        f"{len(photos)} photos at {given.size} pixels, colorfulness {mean_colorfulness(photos):.1f}"
    )
    for model in given.models:
        ours = to_arrays(colored(model, sample.luma).clamp(0, 1))
        error = squared_error(ours, photos)
        gain, color = 10 * math.log10(before / error), mean_colorfulness(ours)
        print(f"{model}: ab error {error**0.5:.2f}, gain {gain:+.2f} dB, colorfulness {color:.1f}")
    print(f"gray: ab error {before**0.5:.2f}")


if __name__ == "__main__":
    main()
