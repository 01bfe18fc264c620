"""How near a model comes to the colours of photos: `python benchmarks/photos.py ZIP [MODEL] [N]`.

PSNR rewards dull colours, so read it together with colourfulness (Hasler and Suesstrunk 2003).
"""

import io
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcolor import Colorizer, RenderSettings
from vidcolor.still import colorize_pixels
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.resolve import resolve


def read_photos(archive: Path, count: int) -> list[NDArray]:
    """Evenly chosen photos of a zip file, (H, W, 3) uint8 each."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith((".jpg", ".png")))
        chosen = [names[number] for number in np.linspace(0, len(names) - 1, count).astype(int)]
        return [
            np.asarray(Image.open(io.BytesIO(file.read(name))).convert("RGB")) for name in chosen
        ]


def to_lab(rgb: NDArray) -> NDArray:
    """(H, W, 3) uint8 RGB -> float32 L in 0 to 100, a and b about -127 to 127."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def psnr(errors: list[float]) -> float:
    """Of the mean squared errors of all photos together, with a peak of 255."""
    return 10 * np.log10(255**2 / np.mean(errors))


def colorfulness(rgb: NDArray) -> float:
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    across, along = red - green, (red + green) / 2 - blue
    return np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean())


def row(name: str, results: list[NDArray], originals: list[NDArray]) -> str:
    pairs = list(zip(results, originals, strict=True))
    rgb = psnr([((ours.astype(float) - real) ** 2).mean() for ours, real in pairs])
    ab = psnr([((to_lab(ours) - to_lab(real))[..., 1:] ** 2).mean() for ours, real in pairs])
    vivid = float(np.mean([colorfulness(ours) for ours in results]))
    return f"{name:12}  {rgb:8.2f}  {ab:8.2f}  {vivid:8.1f}"


def main() -> None:
    archive, model, count = [*sys.argv[1:], *(None, "lite", "300")[len(sys.argv) - 1 :]]
    photos = read_photos(Path(str(archive)), int(str(count)))
    colorizer = Colorizer(load_generator(resolve(str(model))), RenderSettings())
    gray = [np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, 2) for p in photos]
    colored = [colorize_pixels(picture, colorizer) for picture in gray]
    print(f"{count} photos    RGB PSNR   ab PSNR  colourfulness")
    print(row("gray", gray, photos))
    print(row(str(model), colored, photos))
    print(f"{'original':12}  {'':8}  {'':8}  {np.mean([colorfulness(p) for p in photos]):8.1f}")


if __name__ == "__main__":
    main()
