"""The command `vidcolor preview`: a few frames, by several models and render factors."""

from collections.abc import Iterator
from pathlib import Path

import click

from vidcolor.cli.group import Refused
from vidcolor.cli.options import all_there, device_option, weights_dir_option
from vidcolor.cli.text import one_line
from vidcolor.cli.types import ModelNames, Numbers, PathName, Timecode
from vidcolor.errors import VidcolorError
from vidcolor.inference.settings import RENDER_FACTORS, RenderSettings
from vidcolor.weights.catalog import MODELS


def one_there(ctx: click.Context, param: click.Parameter, source: Path) -> Path:
    """Callback: refuse a source that does not exist."""
    return all_there(ctx, param, (source,))[0]


@click.command()
@click.argument("source", type=PathName(), callback=one_there)
@click.option(
    "--at",
    "times",
    multiple=True,
    type=Timecode(),
    help="Time of a frame, in seconds or HH:MM:SS; repeatable. Films only.  "
    "[default: at 15, 50 and 85 % of the film]",
)
@click.option(
    "-r",
    "--render-factors",
    type=Numbers(RENDER_FACTORS),
    metavar="N,N,...",
    help=f"From {RENDER_FACTORS.start} to {RENDER_FACTORS.stop - 1}.  [default: each model's own]",
)
@click.option(
    "-m",
    "--models",
    type=ModelNames(),
    default="lite",
    show_default=True,
    metavar="MODEL,MODEL,...",
    help=f"Of {', '.join(MODELS)}, or weights files.",
)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    help="PNG to write.  [default: NAME.preview.png beside the source]",
)
@click.option("--overwrite", is_flag=True, help="Replace the PNG if it exists.")
@device_option
@weights_dir_option
def preview(
    source: Path,
    times: tuple[float, ...],
    render_factors: tuple[int, ...] | None,
    models: tuple[str, ...],
    output: Path | None,
    overwrite: bool,
    device: str,
    weights_dir: Path | None,
) -> None:
    """Color a few frames of a film, or a still, by several models and render factors.

    Writes one PNG: a row per frame, with the gray frame first, and a labeled column for each
    combination of model and render factor.
    """
    target = output or source.with_name(f"{source.stem}.preview.png")
    if target.exists() and not overwrite:
        raise VidcolorError(f"{target} exists already; add --overwrite, or give another --output")
    click.echo(f"reading {one_line(str(source))}", err=True)

    from vidcolor.batch import kind_of
    from vidcolor.cli.models import load_colorizer
    from vidcolor.preview import Column, contact_sheet, frames_of, still_of, usual_times

    if kind_of(source) == "still":
        if times:
            raise Refused("--at has no effect on a still; leave it out")
        rows = still_of(source)
    else:
        rows = frames_of(source, times or usual_times(source))

    def columns() -> Iterator[Column]:
        for name in models:
            colorizer = None
            for factor in render_factors or (None,):
                settings = RenderSettings(render_factor=factor)
                colorizer = (
                    colorizer.with_settings(settings)
                    if colorizer
                    else load_colorizer(name, settings, device, weights_dir)
                )
                yield Column(
                    f"{Path(name).name}, render factor {colorizer.render_factor}", colorizer
                )

    contact_sheet(source, target, rows, columns())
    click.echo(one_line(str(target)))
