"""Curves of a clip: how colorful it is from moment to moment, and how much that jumps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vidcolor.evaluate.score import Instant
from vidcolor.media.publish import published

WIDTH, HEIGHT = 1000, 300
LEFT, TOP, RIGHT, BOTTOM = 60, 40, 20, 30
"""Margins of a panel, around the curves."""

GRID, INK = (225, 225, 225), (60, 60, 60)
COLORS = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 159, 0))
"""Of the results; Okabe and Ito's, which color-blind people can tell apart."""
ORIGINAL_COLOR = (150, 150, 150)

PANELS: tuple[tuple[str, Callable[[Instant], float]], ...] = (
    ("mean chroma (Lab)", lambda instant: instant.chroma),
    ("change of ab to the next frame, along the motion (Lab)", lambda instant: instant.change),
)

Curves = Mapping[str, Sequence[Instant]]


def plot(target: Path, title: str, curves: Curves) -> None:
    """Write a PNG with one panel below the other, time in seconds across.

    The last of the curves is the original's. A file that exists is replaced.
    Raises MediaError where the folder cannot be written.
    """
    sheet = Image.new("RGB", (WIDTH, HEIGHT * len(PANELS)), "white")
    for number, (label, height_of) in enumerate(PANELS):
        panel = _panel(f"{title}: {label}", curves, height_of)
        sheet.paste(panel, (0, number * HEIGHT))
    with published(target) as unfinished:
        sheet.save(unfinished, "PNG")


def _panel(title: str, curves: Curves, height_of: Callable[[Instant], float]) -> Image.Image:
    panel = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(panel)
    font = ImageFont.load_default(13)
    everything = [instant for curve in curves.values() for instant in curve]
    end = max((instant.time for instant in everything), default=0) or 1.0
    top = 1.1 * max((height_of(instant) for instant in everything), default=0) or 1.0

    def place(time: float, value: float) -> tuple[float, float]:
        across, up = (WIDTH - LEFT - RIGHT) / end, (HEIGHT - TOP - BOTTOM) / top
        return LEFT + time * across, HEIGHT - BOTTOM - value * up

    draw.text((LEFT, 4), title, INK, font)
    for value in _ticks(top):
        draw.line([place(0, value), place(end, value)], GRID)
        draw.text((LEFT - 6, place(0, value)[1]), f"{value:g}", INK, font, anchor="rm")
    for time in _ticks(end):
        draw.text((place(time, 0)[0], HEIGHT - BOTTOM + 4), f"{time:g} s", INK, font, anchor="ma")
    label = LEFT
    for (name, curve), color in zip(curves.items(), _colors(len(curves)), strict=True):
        draw.line([place(i.time, height_of(i)) for i in curve], color, width=2)
        draw.text((label, 20), name, color, font)
        label += round(draw.textlength(name, font)) + 24
    return panel


def _colors(count: int) -> list[tuple[int, int, int]]:
    return [*(COLORS[number % len(COLORS)] for number in range(count - 1)), ORIGINAL_COLOR][:count]


def _ticks(end: float) -> list[float]:
    """Up to six round numbers from 0 to at most `end`."""
    step = next(
        step
        for power in range(-4, 7)
        for step in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
        if end / step <= 5
    )
    return [round(number * step, 6) for number in range(int(end / step) + 1)]
