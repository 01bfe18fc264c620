"""Figures of `vidcolor evaluate` as tables."""

from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidcolor.cli.text import count, one_line

EACH_FRAME = {
    "psnr_rgb": ("PSNR RGB", ".2f"),
    "psnr_ab": ("PSNR ab", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "lpips": ("LPIPS", ".4f"),
    "fid": ("FID", ".2f"),
    "frechet": ("Frechet", ".3f"),
    "colorfulness": ("colorful", ".1f"),
    "colorfulness_gap": ("gap", "+.1f"),
    "colorfulness_abs": ("|colorful|", ".1f"),
}
OVER_TIME = {
    "cdc": ("CDC", ".6f"),
    "cdc_excess": ("excess", "+.6f"),
    "warping_error": ("warping error", ".6f"),
    "ab_change": ("ab change", ".3f"),
    "fps": ("fps", ".1f"),
}
"""Fields of `vidcolor.evaluate.score.Figures`: their column headings and formats."""


def show(document: dict[str, Any]) -> None:
    """Print the tables of what `vidcolor.evaluate.report.document` returns."""
    console = Console()
    for line in document["left_out"]:
        click.echo(one_line(line), err=True)
    if rows := document["photos"]:
        console.print(table(count(document["photo_count"], "photo"), rows, EACH_FRAME))
    if rows := document["films"]:
        films = count(len(document["clips"]), "film")
        console.print(table(f"{films}, each frame", rows, EACH_FRAME))
        console.print(table(f"{films}, over time", rows, OVER_TIME))


def table(
    title: str, rows: dict[str, dict[str, float | None]], columns: dict[str, tuple[str, str]]
) -> Table:
    """One line per row; figures that no row has are left out."""
    result = Table(box=SIMPLE, title=title, title_justify="left")
    result.add_column("", overflow="fold")
    shown = {
        figure: column
        for figure, column in columns.items()
        if any(row[figure] is not None for row in rows.values())
    }
    for heading, _ in shown.values():
        result.add_column(heading, justify="right")
    for name, row in rows.items():
        cells = (cell(row[figure], how) for figure, (_, how) in shown.items())
        result.add_row(Text(one_line(name)), *cells)
    return result


def cell(value: float | None, how: str) -> str:
    """A figure as text; empty where there is none."""
    return "" if value is None else format(value, how)
