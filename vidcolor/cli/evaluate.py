"""The command `vidcolor evaluate`: figures for results, or for a model."""

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
from vidcolor.cli.options import (
    device_option,
    edges_option,
    known_model,
    smooth_option,
    weights_dir_option,
)
from vidcolor.cli.progress import Reporter
from vidcolor.errors import MediaError
from vidcolor.inference.settings import RENDER_FACTORS, RenderSettings
from vidcolor.settings import FilmSettings

if TYPE_CHECKING:
    from vidcolor.evaluate.coloring import Way
    from vidcolor.evaluate.report import Evaluation
    from vidcolor.inference.colorizer import Colorizer


@click.command()
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option("--reference", type=click.Path(path_type=Path), help="The original in color.")
@click.option(
    "-m",
    "--model",
    callback=lambda ctx, param, value: value and known_model(ctx, param, value),
    metavar="lite|video|stable|artistic|FILE",
    help="Color --photos and --clips from their luma with this model, and judge that.",
)
@click.option("--photos", type=click.Path(exists=True, path_type=Path), help="A folder or zip.")
@click.option("--clips", type=click.Path(exists=True, path_type=Path), help="A film or a folder.")
@click.option(
    "-r",
    "--render-factor",
    type=click.IntRange(RENDER_FACTORS.start, RENDER_FACTORS.stop - 1),
    help="Default: the model's own.",
)
@smooth_option
@edges_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only so many photos, evenly chosen, and so many frames of each clip.",
)
@click.option(
    "--protocol",
    type=click.Choice(["ntire", "clean"]),
    default="ntire",
    show_default=True,
    help="Which Frechet inception distance; the two cannot be compared.",
)
@click.option(
    "--lines",
    type=click.IntRange(min=16),
    default=480,
    show_default=True,
    help="Reduce what is higher than this before it is measured.",
)
@click.option(
    "--networks/--no-networks",
    default=True,
    help="LPIPS and FID, which need networks that are fetched on first use.  [default: networks]",
)
@click.option(
    "--features",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An ImageNet encoder's file, for a Frechet distance of what it sees; docs/evaluate.md.",
)
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a PNG for each film: chroma, and its change from frame to frame, over time.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@device_option
@weights_dir_option
def evaluate(results: tuple[Path, ...], **options) -> None:
    """Measure RESULTs against their original, or what a model makes of photos and clips.

    \b
    vidcolor evaluate film.color.mp4 --reference film.mp4
    vidcolor evaluate --model lite --photos photos.zip --clips clips/

    The gray input and the original always stand beside. docs/evaluate.md says what is measured.
    """
    from vidcolor.evaluate.report import EvaluateSettings, Evaluation, Networks, document
    from vidcolor.inference.device import choose_device

    check(results, options)
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


def check(results: tuple[Path, ...], options: dict) -> None:
    """Raises UsageError unless the words make one of the two kinds of call."""
    if results and options["reference"] and not options["model"]:
        return
    if not results and options["model"] and (options["photos"] or options["clips"]):
        return
    raise click.UsageError(
        "give RESULT... and --reference ORIGINAL, or --model with --photos, --clips or both"
    )


def make_places(options: dict) -> None:
    """Find out before the work whether its result can be written."""
    from vidcolor.media.publish import check_folder

    if options["plots"]:
        try:
            options["plots"].mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(
                f"{options['plots']}: cannot make this folder ({error.strerror}); name another one"
            ) from error
        check_folder(options["plots"])
    if options["json_file"]:
        check_folder(options["json_file"].absolute().parent)


def measure(
    results: tuple[Path, ...], options: dict, films: "Evaluation", photos: "Evaluation"
) -> None:
    """Films or stills that are there already."""
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
        films.film(reference, rows, on_frame=bar.on_frame)


def measure_model(options: dict, films: "Evaluation", photos: "Evaluation") -> None:
    """What a model makes of photos and of clips."""
    from vidcolor.cli.models import load_colorizer
    from vidcolor.evaluate.coloring import color_and_measure, color_photos_and_measure
    from vidcolor.evaluate.pairs import films_in

    name, limit = options["model"], options["limit"]
    label = Path(name).name

    def load(precision: str) -> "Colorizer":
        render = RenderSettings(
            render_factor=options["render_factor"], precision=precision, edges=options["edges"]
        )
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
                    limit=limit,
                    on_photo=lambda done: bar.on_frame(done, limit),
                )
            reporter.count_file(photos.frames)
        ways = ways_to_color(load("auto"), label, options["smooth"]) if clips else {}
        for clip in clips:
            with reporter.film(clip.name) as bar:
                color_and_measure(films, clip, ways, limit=limit, on_frame=bar.on_frame)
            reporter.count_file(0)


def ways_to_color(colorizer: "Colorizer", label: str, strength: str) -> "dict[str, Way]":
    """The rows of a model: frame by frame and, unless that is off, smoothed."""
    from vidcolor.evaluate.coloring import LOSSLESS
    from vidcolor.film import colorize_film

    def way(smooth: str) -> "Way":
        settings = FilmSettings(encode=LOSSLESS, smooth=SmoothSettings(strength=smooth))
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
    """All of it, or nothing."""
    from vidcolor.media.publish import published

    with published(target) as unfinished:
        unfinished.write_text(text + "\n")
