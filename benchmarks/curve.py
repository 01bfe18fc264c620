"""Gain of ab PSNR over the colorfulness gap: `python benchmarks/curve.py OUT PHOTOS MODEL...`.

OUT: a folder, which gets curve.json and curve.png. PHOTOS: a folder or zip of color photos that no
model was trained on. MODEL: files of models, or NAME=FILE.

Every photo is colored from its luma, and its chroma multiplied by several factors: more chroma
narrows the gap to the originals' colorfulness and, where it is wrong, loses PSNR. A model is
better where its curve lies higher at the same gap. The gain is in dB of the mean squared error of
all photos; the factor counts from the plain mean of the network's distribution.

Skin: the root of the mean squared error of ab where the original has the colors of skin (Chai and
Ngan 1999), on photos whose folder is one of SKIN_SOURCES, with the chroma as the model ships.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from safetensors import safe_open

from vidcolor.chroma import matrices
from vidcolor.chroma.upsample import upsample
from vidcolor.evaluate.pairs import photos_in
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.metrics.colorfulness import colorfulness
from vidcolor.metrics.lab import ab
from vidcolor.weights.checkpoint import load_generator

FACTORS = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25)
GAPS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
SKIN_SOURCES = ("lfw", "utk", "ccp", "deepface")


@dataclass
class Sums:
    """What one model gathers over the photos."""

    error: NDArray = field(default_factory=lambda: np.zeros(len(FACTORS)))
    colorful: NDArray = field(default_factory=lambda: np.zeros(len(FACTORS)))
    gray: float = 0.0
    original: float = 0.0
    skin: list[tuple[float, int]] = field(default_factory=list)


def gain_of(path: Path) -> float:
    """The factor on chroma that a model's file contains."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if "finish" in metadata:
        return json.loads(metadata["finish"])["gain"]
    for line in metadata.get("recipe", "").splitlines():
        name, _, value = line.partition("=")
        if name.strip() in ("chroma_gain", "vividness"):
            return float(value)
    return 1.0


def colored(luma: torch.Tensor, chroma: torch.Tensor) -> NDArray:
    return matrices.merge(luma, chroma)[0].movedim(0, 2).contiguous().numpy()


def measure(photos: Path, colorizer: Colorizer, gain: float) -> Sums:
    sums = Sums()
    for name, rgb in photos_in(photos, None):
        real = rgb.astype(np.float32) / 255
        wanted = ab(real)
        gray = Image.fromarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        size = colorizer.luma_size(*gray.size)
        small = np.array(gray.resize(size, Image.Resampling.BILINEAR))
        chroma = colorizer.chroma(torch.from_numpy(small)[None, None])
        chroma = upsample(chroma, torch.from_numpy(np.array(gray))[None, None])
        luma = matrices.rgb_to_luma(torch.from_numpy(real).movedim(2, 0)[None])
        sums.gray += float((wanted**2).mean())
        sums.original += colorfulness(rgb)
        for number, factor in enumerate(FACTORS):
            ours = colored(luma, chroma * (factor / gain))
            sums.error[number] += ((ab(ours) - wanted) ** 2).mean()
            sums.colorful[number] += colorfulness(255 * ours)
        if str(name).split("/")[0] in SKIN_SOURCES and (mask := skin(real)).any():
            error = (ab(colored(luma, chroma)) - wanted)[mask]
            sums.skin.append((float((error**2).sum(1).sum()), int(mask.sum())))
    return sums


def skin(rgb: NDArray) -> NDArray:
    """(h, w) of booleans: pixels whose chroma is that of skin (Chai and Ngan 1999)."""
    chroma = 255 * matrices.rgb_to_chroma(torch.from_numpy(rgb).movedim(2, 0)[None])[0].numpy()
    blue, red = chroma + 128
    return (blue > 77) & (blue < 127) & (red > 133) & (red < 173)


def row(sums: Sums, gain: float) -> dict:
    gains = 10 * np.log10(sums.gray / sums.error)
    gaps = 1 - sums.colorful / sums.original
    order = np.argsort(gaps)
    at = np.interp(GAPS, gaps[order], gains[order], left=np.nan, right=np.nan)
    errors = np.array(sums.skin)
    return {
        "factors": list(FACTORS),
        "gain_db": gains.round(3).tolist(),
        "gap": gaps.round(4).tolist(),
        "gain_at_gap": {gap: round(float(value), 3) for gap, value in zip(GAPS, at, strict=True)},
        "plain_mean_gain_db": round(float(gains[FACTORS.index(1.0)]), 3),
        "ships_with_factor": gain,
        "skin_error": round(float(np.sqrt(errors[:, 0].sum() / errors[:, 1].sum())), 3)
        if len(errors)
        else None,
        "skin_photos": len(errors),
    }


def plot(rows: dict[str, dict], path: Path) -> None:
    """One line per model: the gap across, the gain upwards."""
    width, height, margin = 760, 460, 50
    every = [value for values in rows.values() for value in values["gain_db"]]
    low, high = np.floor(min(every) * 2) / 2, np.ceil(max(every) * 2) / 2
    image = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)

    def place(gap: float, gain: float) -> tuple[float, float]:
        across, up = (gap + 0.1) / 1.0, (gain - low) / (high - low)
        return margin + across * (width - 2 * margin), height - margin - up * (height - 2 * margin)

    for gain in np.arange(low, high + 0.01, 0.5):
        pen.line([place(-0.1, gain), place(0.9, gain)], "#e0e0e0")
        pen.text((margin - 6, place(0, gain)[1]), f"{gain:g}", "black", font, anchor="rm")
    for percent in range(-10, 91, 10):
        x, y = place(percent / 100, low)
        pen.line([(x, y), place(percent / 100, high)], "#e0e0e0")
        pen.text((x, y + 6), f"{percent}", "black", font, anchor="ma")
    pen.text((margin, 8), "gain of ab PSNR over gray, dB", "black", font)
    pen.text((width - margin, height - 16), "colorfulness gap, %", "black", font, anchor="ra")
    for number, (name, values) in enumerate(rows.items()):
        points = [place(*point) for point in zip(values["gap"], values["gain_db"], strict=True)]
        color = COLORS[number % len(COLORS)]
        pen.line(points, color, width=2)
        for x, y in points:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), color)
        pen.text((width - margin, 8 + 18 * number), name, color, font, anchor="ra")
    image.save(path)


def models(words: list[str]) -> Iterator[tuple[str, Path]]:
    for word in words:
        name, _, file = word.rpartition("=")
        yield name or Path(file).stem, Path(file)


def main() -> None:
    out, photos, *words = sys.argv[1:]
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "curve.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for name, file in models(words):
        colorizer = Colorizer(load_generator(file), RenderSettings(precision="fp32"), device="cpu")
        gain = gain_of(file)
        rows[name] = row(measure(Path(photos), colorizer, gain), gain)
        print(name, json.dumps(rows[name]), flush=True)
        kept.write_text(json.dumps(rows, indent=1))
    plot(rows, folder / "curve.png")


if __name__ == "__main__":
    main()
