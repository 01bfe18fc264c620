"""Figures of `vidcolor evaluate` as tables."""

import math
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from vidcolor.evaluate.report import Evaluation, Rows

EACH_FRAME = {
    "psnr_rgb": ("PSNR RGB", ".2f"),
    "psnr_ab": ("PSNR ab", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "lpips": ("LPIPS", ".4f"),
    "fid": ("FID", ".2f"),
    "colorfulness": ("colourful", ".1f"),
    "colorfulness_gap": ("gap", "+.1f"),
    "colorfulness_abs": ("|colourful|", ".1f"),
}
OVER_TIME = {
    "cdc": ("CDC", ".6f"),
    "cdc_excess": ("excess", "+.6f"),
    "warping_error": ("warping error", ".6f"),
    "ab_change": ("ab change", ".3f"),
    "fps": ("fps", ".1f"),
}
"""Figures of `vidcolor.evaluate.score.Figures`: what stands above them, and how they are shown."""


def show(films: "Evaluation", photos: "Evaluation") -> None:
    """Print the tables."""
    console = Console()
    for line in films.networks.missing:
        click.echo(line, err=True)
    if rows := photos.rows():
        console.print(table(f"{photos.frames} photos", rows, EACH_FRAME))
    if rows := films.rows():
        console.print(table(f"{len(films.clips)} films, each frame", rows, EACH_FRAME))
        console.print(table(f"{len(films.clips)} films, over time", rows, OVER_TIME))


def table(title: str, rows: "Rows", columns: dict[str, tuple[str, str]]) -> Table:
    """One line for each row; figures that no row has are left out."""
    result = Table(box=SIMPLE, title=title, title_justify="left")
    result.add_column("")
    shown = {
        name: column
        for name, column in columns.items()
        if any(getattr(figures, name) is not None for figures in rows.values())
    }
    for heading, _ in shown.values():
        result.add_column(heading, justify="right")
    for name, figures in rows.items():
        cells = (cell(getattr(figures, figure), how) for figure, (_, how) in shown.items())
        result.add_row(Text(name), *cells)
    return result


def cell(value: float | None, how: str) -> str:
    """A figure as text; nothing where there is none."""
    if value is None:
        return ""
    return format(value, how) if math.isfinite(value) else "equal"
