"""The command `vidcolor preview`: a contact sheet instead of trial and error."""

from collections.abc import Iterator
from pathlib import Path

import click

from vidcolor.cli.options import Numbers, Timecode, device_option, known_model, weights_dir_option
from vidcolor.errors import VidcolorError
from vidcolor.inference.settings import RENDER_FACTORS, RenderSettings


def known_models(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Callback of --models: names or files between commas."""
    return tuple(known_model(ctx, param, name) for name in value.split(","))


@click.command()
@click.argument("film", type=click.Path(path_type=Path))
@click.option(
    "--at",
    "times",
    multiple=True,
    type=Timecode(),
    help="Seconds or HH:MM:SS; may be given several times. Default: three times of the film.",
)
@click.option(
    "-r",
    "--render-factors",
    type=Numbers(RENDER_FACTORS),
    help=f"Such as 10,21,35 ({RENDER_FACTORS.start} to {RENDER_FACTORS.stop - 1}). "
    "Default: each model's own.",
)
@click.option("-m", "--models", default="lite", show_default=True, callback=known_models)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: FILM.preview.png beside the film.",
)
@click.option("--overwrite", is_flag=True, help="Replace a contact sheet that exists.")
@device_option
@weights_dir_option
def preview(
    film: Path,
    times: tuple[float, ...],
    render_factors: tuple[int, ...] | None,
    models: tuple[str, ...],
    output: Path | None,
    overwrite: bool,
    device: str,
    weights_dir: Path | None,
) -> None:
    """Color single frames of FILM with every model and render factor, on one labeled sheet."""
    from vidcolor.cli.models import load_colorizer
    from vidcolor.media.probe import probe
    from vidcolor.preview import Column, contact_sheet

    target = output or film.with_name(f"{film.stem}.preview.png")
    if target.exists() and not overwrite:
        raise VidcolorError(f"{target} exists already; add --overwrite, or give another --output")
    duration = probe(film).duration
    thirds = tuple(duration * share for share in (0.15, 0.5, 0.85)) if duration else (0.0,)

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

    contact_sheet(film, target, times or thirds, columns())
    click.echo(target)
