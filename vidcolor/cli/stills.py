"""The command `vidcolor stills`: single frames of a film in color, to be painted on."""

from pathlib import Path
from typing import Any

import click

from vidcolor.choices import render_settings
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.cli.group import Refused
from vidcolor.cli.options import (
    deinterlace_option,
    device_option,
    edges_option,
    model_option,
    render_factor_option,
    scenes_option,
    weights_dir_option,
)
from vidcolor.cli.preview import one_there
from vidcolor.cli.text import count, one_line
from vidcolor.cli.types import PathName, Timecode
from vidcolor.inference.settings import RenderSettings


@click.command()
@click.argument("source", metavar="FILM", type=PathName(dir_okay=False), callback=one_there)
@click.option(
    "-o", "--output", type=PathName(file_okay=False), required=True, help="Folder to write to."
)
@scenes_option
@click.option(
    "--at", "times", multiple=True, type=Timecode(), help="Time of a frame instead; repeatable."
)
@click.option(
    "--every",
    type=click.FloatRange(min=0, min_open=True),
    help="A frame every so many seconds instead.",
)
@model_option("The network that makes the colors.", "lite")
@render_factor_option("Side, in units of 16 pixels, of the square that colors are computed at.")
@click.option(
    "--saturation",
    type=click.FloatRange(0, 4),
    default=RenderSettings.saturation,
    show_default=True,
    help="Multiply the color saturation by this.",
)
@click.option(
    "--hue",
    type=click.FloatRange(-180, 180),
    default=RenderSettings.hue,
    show_default=True,
    help="Rotate the hue by so many degrees.",
)
@edges_option
@deinterlace_option
@device_option
@weights_dir_option
@click.option("--overwrite", is_flag=True, help="Replace stills that exist, painted ones too.")
def stills(source: Path, output: Path, overwrite: bool, **options: Any) -> None:
    """Color the middle frame of each scene, or others, and write them as PNG files.

    ref_000123.png is frame 123, counting from 0. Paint on them and color the film with them.
    """
    if options["times"] and options["every"]:
        raise Refused("--at and --every exclude each other; leave one of them out")
    click.echo(f"looking for shots in {one_line(str(source))}", err=True)
    made, passed = color_stills(source, output, overwrite, options)
    if passed:
        click.echo(
            f"{count(passed, 'still')} left as they are; --overwrite replaces them", err=True
        )
    click.echo(f"{one_line(str(output))}: {count(made, 'still')}")


def color_stills(
    source: Path, output: Path, overwrite: bool, options: dict[str, Any]
) -> tuple[int, int]:
    """How many were written, and how many were there already."""
    from vidcolor.cli.controlled import control_film
    from vidcolor.cli.models import load_colorizer
    from vidcolor.control.stills import (
        frames_at,
        frames_every,
        middles,
        piece_at,
        still_name,
        write_still,
    )
    from vidcolor.media.containers import EncodeSettings
    from vidcolor.media.probe import probe
    from vidcolor.pipeline import Work
    from vidcolor.shots import scan_film

    film = probe(source, deinterlace=options["deinterlace"])
    scan = scan_film(film)
    render = render_settings({"precision": "auto", "batch_size": 1, **options})
    control = control_film(film, scan, options, render, lambda note: click.echo(note, err=True))
    if options["times"]:
        numbers = frames_at(film, scan, options["times"])
    elif options["every"]:
        numbers = frames_every(film, scan, options["every"])
    else:
        numbers = middles(control.plan.pieces)
    output.mkdir(parents=True, exist_ok=True)
    wanted = [n for n in numbers if overwrite or not (output / still_name(n)).exists()]
    if wanted:
        colorizer = load_colorizer(
            options["model"], render, options["device"], options["weights_dir"]
        )
        work = Work(
            film=film,
            colorizer=colorizer,
            encode=EncodeSettings(),
            smooth=SmoothSettings(),
            edges=options["edges"],
        )
        for number in wanted:
            own = control.work_for(piece_at(control.plan, number), work)
            click.echo(one_line(str(write_still(own, scan, number, output))), err=True)
    return len(wanted), len(numbers) - len(wanted)
