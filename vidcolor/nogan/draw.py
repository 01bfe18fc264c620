"""Pictures of a run: grids of photos and curves of numbers."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

PANEL = (480, 220)
MARGIN = 24
BLUE, GRAY, RED = "#2060c0", "#b0b0b0", "#d03030"

Curve = list[tuple[float, float]]
"""(step, value)."""


def draw_grid(path: Path, columns: list[NDArray]) -> None:
    """Columns of (N, H, W, 3) float pictures in [0, 1], side by side."""
    grid = np.nan_to_num(np.concatenate([np.concatenate(list(c), 0) for c in columns], 1))
    _save(path, Image.fromarray((255 * grid).round().astype(np.uint8)))


def draw_curves(path: Path, curves: dict[str, Curve], *, mark: float | None = None) -> None:
    """One panel per curve, one below the other, with a red line at the step `mark`.

    Values that are not finite are left out.
    """
    width, height = PANEL
    image = Image.new("RGB", (width, height * len(curves)), "white")
    pen = ImageDraw.Draw(image)
    for number, (name, curve) in enumerate(curves.items()):
        top = number * height
        points = np.array(curve, dtype=float)
        last = max(points[-1, 0], 1)
        points = points[np.isfinite(points[:, 1])]
        low, high = points[:, 1].min(initial=np.inf), points[:, 1].max(initial=-np.inf)
        pen.rectangle((MARGIN, top + MARGIN, width - MARGIN, top + height - MARGIN), outline=GRAY)
        pen.text((MARGIN, top + 6), f"{name}: {low:.4g} to {high:.4g}", fill="black")
        points[:, 0] = MARGIN + points[:, 0] / last * (width - 2 * MARGIN)
        share = (points[:, 1] - low) / ((high - low) or 1)
        points[:, 1] = top + height - MARGIN - share * (height - 2 * MARGIN)
        pen.line([(x, y) for x, y in points], fill=BLUE, width=2)
        if mark is not None:
            x = MARGIN + mark / last * (width - 2 * MARGIN)
            pen.line((x, top + MARGIN, x, top + height - MARGIN), fill=RED)
    _save(path, image)


def draw_losses(folder: Path) -> None:
    """losses.png from log.jsonl: each phase's losses, as means over a hundredth of its steps."""
    curves: dict[str, Curve] = {}
    log = folder / "log.jsonl"
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        entry = json.loads(line)
        for name in ("loss", "critic", "generator"):
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
