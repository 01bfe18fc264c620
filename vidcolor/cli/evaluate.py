"""The command `vidcolor evaluate`: metrics of results, or of a model."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from vidcolor.batch import STILLS
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.cli.figures import show
from vidcolor.cli.group import Refused
from vidcolor.cli.options import (
    all_there,
    device_option,
    edges_option,
    given,
    model_option,
    render_factor_option,
    smooth_option,
    weights_dir_option,
)
from vidcolor.cli.progress import Reporter
from vidcolor.cli.types import PathName
from vidcolor.errors import MediaError
from vidcolor.inference.settings import RenderSettings
from vidcolor.settings import FilmSettings

if TYPE_CHECKING:
    from vidcolor.evaluate.coloring import Way
    from vidcolor.evaluate.report import Evaluation
    from vidcolor.inference.colorizer import Colorizer


MODEL_ONLY = ("photos", "clips", "render_factor", "smooth", "edges", "weights_dir")
"""Parameters that do nothing for results that exist already."""

CLIPS_ONLY = ("smooth", "plots")
"""Parameters that do nothing for stills."""


@click.command()
@click.argument("results", metavar="[RESULT...]", nargs=-1, type=PathName(), callback=all_there)
@click.option("--reference", type=PathName(exists=True), help="The original of RESULT, in color.")
@model_option("Measure this model: color --photos and --clips from their luma with it.")
@click.option(
    "--photos", type=PathName(exists=True), help="Folder or zip file of color photos for --model."
)
@click.option(
    "--clips", type=PathName(exists=True), help="Film in color, or folder of them, for --model."
)
@render_factor_option("As for `colorize`, with --model.  [default: the model's own]")
@smooth_option
@edges_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Measure only so many frames from the beginning of each film, and so many photos, "
    "evenly chosen.",
)
@click.option(
    "--protocol",
    type=click.Choice(["ntire", "clean"]),
    default="ntire",
    show_default=True,
    help="Variant of the Frechet inception distance; figures of the two are not comparable.",
)
@click.option(
    "--lines",
    type=click.IntRange(min=16),
    default=480,
    show_default=True,
    help="Scale higher pictures down to this height before they are measured.",
)
@click.option(
    "--networks/--no-networks",
    default=True,
    help="Measure LPIPS and FID, whose networks are downloaded on first use.  [default: networks]",
)
@click.option(
    "--features",
    type=PathName(exists=True, dir_okay=False),
    help="Weights of an ImageNet encoder, for a Frechet distance of its features.",
)
@click.option(
    "--plots",
    type=PathName(file_okay=False),
    help="Folder for a PNG per film: chroma, and its change between frames, over time.",
)
@click.option(
    "--json", "json_file", type=PathName(dir_okay=False), help="Write the figures to this file."
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@device_option
@weights_dir_option
@click.pass_context
def evaluate(ctx: click.Context, results: tuple[Path, ...], **options) -> None:
    """Measure colored RESULTs against the original, or a model on color photos and clips.

    \b
    vidcolor evaluate film.color.mp4 --reference film.mp4
    vidcolor evaluate --model lite --photos photos.zip --clips clips/

    The tables also have rows for the gray input and for the original itself.
    """
    from vidcolor.evaluate.report import EvaluateSettings, Evaluation, Networks, document
    from vidcolor.inference.device import choose_device

    check(ctx, results, options)
    make_places(options)
    settings = EvaluateSettings(
        protocol=options["protocol"],
        lines=options["lines"],
        networks=options["networks"],
        features=options["features"],
    )
    networks = Networks.load(settings, choose_device(options["device"]))
    films, photos = Evaluation(settings, networks), Evaluation(settings, networks)
    if results:
        measure(results, options, films, photos)
    else:
        measure_model(options, films, photos)
    figures = document(films, photos)
    show(figures)
    if options["plots"]:
        write_plots(films, options["plots"])
    if options["json_file"]:
        write_json(options["json_file"], json.dumps(figures, indent=2, allow_nan=False))


def check(ctx: click.Context, results: tuple[Path, ...], options: dict) -> None:
    """Refuse a call that is neither of the two kinds, and options that would do nothing in it."""
    if results and options["reference"] and not options["model"]:
        idle = given(ctx, MODEL_ONLY)
        if idle:
            raise Refused(f"{' and '.join(idle)} can only be used with --model")
        if options["reference"].suffix.lower() in STILLS:
            refuse_idle(given(ctx, (*CLIPS_ONLY, "limit")), "stills")
        return
    if not results and options["model"] and (options["photos"] or options["clips"]):
        if not options["clips"]:
            refuse_idle(given(ctx, CLIPS_ONLY), "photos")
        return
    raise click.UsageError(
        "give RESULT... and --reference ORIGINAL, or --model with --photos, --clips or both"
    )


def refuse_idle(names: list[str], material: str) -> None:
    """Refuse options that have no effect on the material."""
    if names:
        have, them = ("has", "it") if len(names) == 1 else ("have", "them")
        raise Refused(f"{' and '.join(names)} {have} no effect on {material}; leave {them} out")


def make_places(options: dict) -> None:
    """Make sure before the work that its result can be written."""
    from vidcolor.media.publish import check_folder, refuse_device

    if options["plots"]:
        try:
            options["plots"].mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(
                f"cannot make the folder {options['plots']} ({error.strerror}); "
                "give another --plots"
            ) from error
        check_folder(options["plots"])
    if options["json_file"]:
        refuse_device(options["json_file"])
        check_folder(options["json_file"].absolute().parent)


def measure(
    results: tuple[Path, ...], options: dict, films: "Evaluation", photos: "Evaluation"
) -> None:
    """Measure films or stills that exist already."""
    reference = options["reference"]
    names = [path.name for path in results]
    rows = {
        path.name if names.count(path.name) == 1 else str(path): path
        for path in dict.fromkeys(results)
    }
    if reference.suffix.lower() in STILLS:
        photos.still(reference, rows)
        return
    with progress(1, options["quiet"]) as reporter, reporter.film(reference.name) as bar:
        films.film(reference, rows, limit=options["limit"], on_frame=bar.on_frame)


def measure_model(options: dict, films: "Evaluation", photos: "Evaluation") -> None:
    """Color photos and clips with a model, and measure the results."""
    from vidcolor.cli.models import load_colorizer
    from vidcolor.evaluate.coloring import color_and_measure, color_photos_and_measure
    from vidcolor.evaluate.pairs import films_in

    name, limit = options["model"], options["limit"]
    label = Path(name).name

    def load(precision: str) -> "Colorizer":
        render = RenderSettings(render_factor=options["render_factor"], precision=precision)
        return load_colorizer(name, render, options["device"], options["weights_dir"])

    clips = films_in(options["clips"]) if options["clips"] else []
    with progress(len(clips) + bool(options["photos"]), options["quiet"]) as reporter:
        if options["photos"]:
            colorizer = load("fp32")
            with reporter.film(options["photos"].name) as bar:
                color_photos_and_measure(
                    photos,
                    options["photos"],
                    label,
                    colorizer,
                    edges=options["edges"],
                    limit=limit,
                    on_photo=lambda done: bar.on_frame(done, limit),
                )
            reporter.count_file(photos.frames)
        ways = (
            ways_to_color(load("auto"), label, options["smooth"], options["edges"]) if clips else {}
        )
        for clip in clips:
            with reporter.film(clip.name) as bar:
                color_and_measure(films, clip, ways, limit=limit, on_frame=bar.on_frame)
            reporter.count_file(0)


def ways_to_color(
    colorizer: "Colorizer", label: str, strength: str, edges: str
) -> "dict[str, Way]":
    """The rows of a model: without smoothing and, unless it is off, with it."""
    from vidcolor.evaluate.coloring import LOSSLESS
    from vidcolor.film import colorize_film

    def way(smooth: str) -> "Way":
        settings = FilmSettings(
            encode=LOSSLESS, smooth=SmoothSettings(strength=smooth), edges=edges
        )
        return lambda source, target, *, end, on_frame: colorize_film(
            source, target, colorizer, replace(settings, end=end), on_frame=on_frame
        )

    return {
        label if smooth == "off" else f"{label}, smooth {smooth}": way(smooth)
        for smooth in dict.fromkeys(("off", strength))
    }


@contextmanager
def progress(files: int, quiet: bool) -> Iterator[Reporter]:
    reporter = Reporter(Console(stderr=True), files, quiet=quiet)
    with reporter.shown():
        yield reporter


def write_plots(films: "Evaluation", folder: Path) -> None:
    """A PNG for each film."""
    from vidcolor.evaluate.plots import plot

    for name, curves in films.curves.items():
        plot(folder / f"{name}.png", name, curves)


def write_json(target: Path, text: str) -> None:
    """Write a file that appears under its name only when it is complete."""
    from vidcolor.media.publish import published

    with published(target) as unfinished:
        unfinished.write_text(text + "\n")
