"""How a model's colors change with the render factor.

`python benchmarks/render_factors.py [--model MODEL] CLIP...` (of `lite` by default) prints
colorfulness (Hasler and Suesstrunk) beside that of the clips' own colors, and the error in ab.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor import Colorizer, RenderSettings, colorize_array
from vidcolor.media.probe import probe
from vidcolor.media.rgb import read_rgb
from vidcolor.metrics.colorfulness import colorfulness

FACTORS = (4, 8, 12, 16, 21, 28, 35, 48, 64)
EVERY = 24
MOST = 5
"""Frames of each clip: so many, and one of EVERY."""


def frames_of(clip: Path) -> list[NDArray]:
    film = probe(clip)
    frames = read_rgb(film, (film.width, film.height))
    return [frame.rgb for number, frame in enumerate(frames) if number % EVERY == 0][:MOST]


def ab(rgb: NDArray) -> NDArray:
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[..., 1:]


def mean_colorfulness(pictures: list[NDArray]) -> float:
    return float(np.mean([colorfulness(picture.astype(np.float32)) for picture in pictures]))


def main() -> None:
    words = sys.argv[1:]
    model = "lite"
    if words[0] == "--model":
        model, words = words[1], words[2:]
    frames = [frame for clip in words for frame in frames_of(Path(clip))]
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    colorizer = Colorizer.load(model, RenderSettings(precision="fp32"), device="cpu")
    print(f"the clips        colorfulness {mean_colorfulness(frames):5.1f}")
    for factor in FACTORS:
        settings = RenderSettings(precision="fp32", render_factor=factor)
        other = colorizer.with_settings(settings)
        ours = [colorize_array(gray, other) for gray in grays]
        squares = [((ab(a) - ab(b)) ** 2).mean() for a, b in zip(ours, frames, strict=True)]
        print(
            f"render factor {factor:2d} colorfulness {mean_colorfulness(ours):5.1f}"
            f"  ab error {np.mean(squares) ** 0.5:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
