"""Colors of models on photos: `python benchmarks/photos.py PHOTOS MODEL ...`.

PHOTOS is a folder, zip or tar; each MODEL a name or file. The middles of COUNT photos at SIZE
pixels are colored from their luma. Prints the error of a and b of CIELAB, its gain over gray
pictures in dB, and the colorfulness; the photos' own colorfulness is in the first line.
"""

import math
import sys
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

COUNT, SIZE = 384, 128


def colored(model: str, luma: Tensor) -> Tensor:
    """Luma (B, 1, SIZE, SIZE) in [0, 1] -> RGB of that luma under the model's chroma."""
    colorizer = Colorizer.load(model, RenderSettings(render_factor=SIZE // 16))
    width, height = colorizer.luma_size(SIZE, SIZE)
    given = F.interpolate(luma, (height, width), mode="area") if width != SIZE else luma
    chroma = colorizer.chroma((given * 255).round().to(torch.uint8)).float().cpu()
    return matrices.merge(luma, F.interpolate(chroma, (SIZE, SIZE), mode="bilinear"))


def squared_error(ours: NDArray, photos: NDArray) -> float:
    return float(
        np.mean([((ab(a) - ab(b)) ** 2).mean() for a, b in zip(ours, photos, strict=True)])
    )


def mean_colorfulness(pictures: NDArray) -> float:
    return float(np.mean([colorfulness(255 * picture) for picture in pictures]))


def main() -> None:
    source, *models = sys.argv[1:]
    sample = plain(middles(load_photos([Path(source)], smallest=SIZE * 3 // 4), COUNT, SIZE))
    photos, gray = to_arrays(sample.rgb()), sample.luma.expand(-1, 3, -1, -1)
    before = squared_error(to_arrays(gray), photos)
    print(f"{len(photos)} photos at {SIZE}x{SIZE}, colorfulness {mean_colorfulness(photos):.1f}")
    for model in models:
        ours = to_arrays(colored(model, sample.luma).clamp(0, 1))
        error = squared_error(ours, photos)
        gain, color = 10 * math.log10(before / error), mean_colorfulness(ours)
        print(f"{model}: ab error {error**0.5:.2f}, gain {gain:+.2f} dB, colorfulness {color:.1f}")
    print(f"gray: ab error {before**0.5:.2f}")


if __name__ == "__main__":
    main()
