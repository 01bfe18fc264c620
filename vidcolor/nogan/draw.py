"""Pictures of a run: grids of photos and curves of numbers."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcolor.metrics.plots import Curve, panel, sheet

BLUE = (32, 96, 192)


def draw_grid(path: Path, columns: list[NDArray]) -> NDArray:
    """Columns of (N, H, W, 3) float pictures in [0, 1], side by side; returns the grid, uint8."""
    grid = np.nan_to_num(np.concatenate([np.concatenate(list(c), 0) for c in columns], 1))
    pixels = (255 * grid).round().astype(np.uint8)
    _save(path, Image.fromarray(pixels))
    return pixels


def draw_curves(path: Path, curves: Mapping[str, Curve], *, mark: float | None = None) -> None:
    """One panel per curve, one below the other, with a red line at the step `mark`."""
    panels = [
        panel(name, {_summary(curve): curve}, colors=[BLUE], from_zero=False, mark=mark)
        for name, curve in curves.items()
    ]
    _save(path, sheet(panels))


def _summary(curve: Curve) -> str:
    """The least and the greatest value."""
    values = [value for _, value in curve if math.isfinite(value)]
    return f"{min(values):.4g} to {max(values):.4g}" if values else "no finite value"


def draw_losses(folder: Path) -> None:
    """losses.png from log.jsonl: losses and scores of each phase, as means over a hundredth."""
    curves: dict[str, list[tuple[float, float]]] = {}
    log = folder / "log.jsonl"
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        entry = json.loads(line)
        for name in ("loss", "critic", "generator", "validation_loss", "ab_gain", "colorfulness"):
            if name in entry:
                curves.setdefault(f"{entry['phase']} {name}", []).append(
                    (entry["step"], entry[name])
                )
    if curves:
        draw_curves(folder / "losses.png", {name: _smooth(curve) for name, curve in curves.items()})


def _smooth(curve: Curve) -> Curve:
    chunks = np.array_split(np.array(curve), min(100, len(curve)))
    return [(float(chunk[:, 0].mean()), float(chunk[:, 1].mean())) for chunk in chunks]


def _save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
