"""Curves as pictures: panels one below the other, each with its axes, for reports and trainings."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1000, 300
LEFT, TOP, RIGHT, BOTTOM = 60, 40, 20, 30
"""Margins of a panel, around the curves."""

GRID, INK, MARK = (225, 225, 225), (60, 60, 60), (208, 48, 48)
COLORS = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 159, 0))
"""Okabe and Ito's, which color-blind people can tell apart."""

Color = tuple[int, int, int]
Curve = Sequence[tuple[float, float]]
"""(x, y); points that are not finite are left out."""


def panel(
    title: str,
    curves: Mapping[str, Curve],
    *,
    colors: Sequence[Color] = COLORS,
    unit: str = "",
    from_zero: bool = True,
    mark: float | None = None,
) -> Image.Image:
    """Curves in one pair of axes, x from 0 to their end.

    colors: of the curves in turn. unit: after the numbers below the x axis.
    from_zero: y from 0 to a little above the highest value, else from the lowest to the highest.
    mark: where a vertical line is drawn.
    """
    points = {name: _finite(curve) for name, curve in curves.items()}
    end = max((x for curve in curves.values() for x, _ in curve), default=0) or 1.0
    values = np.concatenate([curve[:, 1] for curve in points.values()]) if points else np.empty(0)
    low, high = _range(values, from_zero=from_zero)
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)

    def at(x: float, y: float) -> tuple[float, float]:
        across, up = (WIDTH - LEFT - RIGHT) / end, (HEIGHT - TOP - BOTTOM) / (high - low)
        return LEFT + x * across, HEIGHT - BOTTOM - (y - low) * up

    draw.text((LEFT, 4), title, INK, font)
    for y in _ticks(low, high):
        draw.line([at(0, y), at(end, y)], GRID)
        draw.text((LEFT - 6, at(0, y)[1]), f"{y:g}", INK, font, anchor="rm")
    for x in _ticks(0, end):
        draw.text((at(x, 0)[0], HEIGHT - BOTTOM + 4), f"{x:g}{unit}", INK, font, anchor="ma")
    if mark is not None:
        draw.line([at(mark, low), at(mark, high)], MARK)
    label = LEFT
    for number, (name, curve) in enumerate(points.items()):
        color = colors[number % len(colors)]
        draw.line([at(x, y) for x, y in curve.tolist()], color, width=2)
        draw.text((label, 20), name, color, font)
        label += round(draw.textlength(name, font)) + 24
    return image


def sheet(panels: Sequence[Image.Image]) -> Image.Image:
    """Panels one below the other."""
    image = Image.new("RGB", (WIDTH, HEIGHT * len(panels)), "white")
    for number, each in enumerate(panels):
        image.paste(each, (0, number * HEIGHT))
    return image


def _finite(curve: Curve) -> np.ndarray:
    """(N, 2)."""
    points = np.array(curve, dtype=float).reshape(-1, 2)
    return points[np.isfinite(points).all(1)]


def _range(values: np.ndarray, *, from_zero: bool) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    if from_zero:
        low, high = 0.0, 1.1 * high
    return (low, high) if high > low else (low, low + 1.0)


def _ticks(low: float, high: float) -> list[float]:
    """Up to seven round numbers from `low` to `high`."""
    steps = (unit * 10.0**power for power in range(-9, 12) for unit in (1, 2, 5))
    step = next((step for step in steps if (high - low) / step <= 5), high - low)
    first = int(np.ceil(low / step - 1e-9))
    return [round(number * step, 9) for number in range(first, int(high / step + 1e-9) + 1)]
