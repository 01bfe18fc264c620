"""Curves of a clip: how colorful it is from moment to moment, and how much that jumps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vidcolor.evaluate.score import Instant
from vidcolor.media.publish import published
from vidcolor.metrics.plots import COLORS, panel, sheet

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
    colors = [*(COLORS[number % len(COLORS)] for number in range(len(curves) - 1)), ORIGINAL_COLOR]
    panels = []
    for label, height_of in PANELS:
        points = {
            name: [(instant.time, height_of(instant)) for instant in curve]
            for name, curve in curves.items()
        }
        panels.append(panel(f"{title}: {label}", points, colors=colors, unit=" s"))
    with published(target) as unfinished:
        sheet(panels).save(unfinished, "PNG")
