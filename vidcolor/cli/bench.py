"""The command `vidcolor bench`: how fast this machine colors, and what limits it."""

import json
from pathlib import Path

import click

from vidcolor.cli.text import one_line
from vidcolor.cli.types import PathName

SIZES = ("1080p", "4k", "tiny")
NETWORKS = ("lite", "deep", "wide")


@click.command()
@click.option(
    "--size",
    "sizes",
    type=click.Choice(SIZES),
    multiple=True,
    default=("1080p",),
    show_default=True,
    help="Of the film that is made for it; repeatable.",
)
@click.option(
    "--network",
    "networks",
    type=click.Choice(NETWORKS),
    multiple=True,
    default=("lite",),
    show_default=True,
    help="Its shape, with random weights; repeatable. deep is that of artistic, wide that of "
    "stable and video.",
)
@click.option("-r", "--render-factor", type=click.IntRange(4, 64), help="[default: each's own]")
@click.option(
    "--frames", type=click.IntRange(2), default=240, show_default=True, help="Of the film."
)
@click.option(
    "--few",
    type=click.IntRange(2),
    default=24,
    show_default=True,
    help="Frames of the film that networks color.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Runs of each, in turns; the shortest counts.",
)
@click.option(
    "-o", "--output", type=PathName(dir_okay=False), help="JSON file to write, beside the table."
)
def bench(
    sizes: tuple[str, ...],
    networks: tuple[str, ...],
    render_factor: int | None,
    frames: int,
    few: int,
    rounds: int,
    output: Path | None,
) -> None:
    """Measure how fast this machine colors, over what any colorizer needs.

    Makes its own film, downloads nothing, and prints ratios of one run: of the pipeline without a
    network, over a plain transcode; of each network alone, over the device's rate; of both
    together; and of every stage. On a busy machine, ratios are less certain. Takes minutes.
    """
    from vidcolor.bench.rows import Row
    from vidcolor.bench.run import bench as measure
    from vidcolor.bench.run import machine

    about = machine()
    click.echo(one_line(", ".join(f"{name} {value}" for name, value in about.items() if value)))
    side = 256 if sizes == ("tiny",) else None
    rows: list[Row] = []
    section = None
    for row in measure(
        sizes, networks, frames=frames, few=few, rounds=rounds, factor=render_factor, side=side
    ):
        if row.section != section:
            section = row.section
            click.echo(f"\n{section}")
        rows.append(row)
        click.echo(_line(row))
    if output:
        output.write_text(
            json.dumps({"machine": about, "rows": [row.plain() for row in rows]}, indent=2) + "\n"
        )
        click.echo(f"\n{one_line(str(output))}")


def _line(row: object) -> str:
    """One row of the table."""
    from vidcolor.bench.rows import Row

    assert isinstance(row, Row)
    parts = [f"  {row.name:<40}"]
    if row.fps is not None:
        parts.append(f"{row.fps:8.1f} fps")
    if row.ratio is not None:
        parts.append(f"{row.ratio:7.2f} of the {row.over}")
    if row.work is not None:
        parts.append(f", {row.work:.2f} times its processor time")
    if row.ours is not None:
        ffmpeg = "" if row.ffmpeg is None else f" + {row.ffmpeg:.1f} in ffmpeg"
        parts.append(f"  {row.ours:.1f}{ffmpeg} ms of processor time a frame")
    if row.note:
        parts.append(f"  {row.note}")
    return "".join(parts)
