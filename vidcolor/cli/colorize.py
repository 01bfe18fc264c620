"""The command `vidcolor colorize`, which `vidcolor FILM` is short for."""

import json
from pathlib import Path

import click

from vidcolor.batch import plan
from vidcolor.cli import WORDS
from vidcolor.cli.log import write_log
from vidcolor.cli.options import (
    Timecode,
    deinterlace_option,
    device_option,
    edges_option,
    known_model,
    smooth_option,
    weights_dir_option,
)
from vidcolor.cli.session import Session
from vidcolor.inference.settings import PRECISIONS, RENDER_FACTORS, RenderSettings
from vidcolor.resume.store import PieceSettings
from vidcolor.weights.catalog import MODELS


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-m",
    "--model",
    default="lite",
    show_default=True,
    callback=known_model,
    metavar="lite|video|stable|artistic|FILE",
    help="Built in, or DeOldify's, or the path of a .pth or .safetensors file.",
)
@click.option(
    "-r",
    "--render-factor",
    type=click.IntRange(RENDER_FACTORS.start, RENDER_FACTORS.stop - 1),
    help="Side of the square that the model sees, in 16 pixels. Small: vivid and bold; large: "
    "detailed and careful. Default: the model's own "
    f"({', '.join(f'{model.name} {model.render_factor}' for model in MODELS.values())}).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File, or folder for several sources. Default: SOURCE.color.SUFFIX beside the source.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist; never a source.")
@click.option("--fresh", is_flag=True, help="Forget what a run that was stopped has finished.")
@click.option("--recursive", is_flag=True, help="Look into the folders of folders too.")
@click.option("--start", type=Timecode(), help="Color from here on: seconds or HH:MM:SS.")
@click.option("--end", type=Timecode(), help="Color up to here.")
@click.option("--compare", is_flag=True, help="Show source and result side by side.")
@click.option(
    "--saturation",
    type=click.FloatRange(0, 4),
    default=RenderSettings.saturation,
    show_default=True,
    help="Factor on the colors; 0 is gray.",
)
@click.option(
    "--hue",
    type=click.FloatRange(-180, 180),
    default=RenderSettings.hue,
    show_default=True,
    help="Degrees by which the colors are turned.",
)
@click.option(
    "--codec",
    help="ffmpeg's encoder, such as libx265, h264_nvenc, ffv1. "
    "Default: libx264, libx265 above 8 bits, libvpx-vp9 in webm.",
)
@click.option("--crf", type=click.IntRange(0, 255), help="Quality; lower is better and larger.")
@click.option("--preset", help="The encoder's word for how long it may take.")
@click.option("--pix-fmt", help="ffmpeg's pixel format. Default: 4:2:0 in the source's depth.")
@smooth_option
@edges_option
@deinterlace_option
@device_option
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=RenderSettings.precision,
    show_default=True,
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Default: what memory allows.")
@weights_dir_option
@click.option(
    "--piece-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=PieceSettings.seconds,
    hidden=True,
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary for programs on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Only errors and warnings.")
@click.option("-v", "--verbose", is_flag=True, help="Say how each film is read and written.")
@click.option(
    "--log",
    "log_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add to this file what a bug report needs: versions, settings, ffmpeg's words.",
)
@click.pass_context
def colorize(ctx: click.Context, sources: tuple[Path, ...], **options) -> None:
    """Color films, stills and folders of them.

    Sound, subtitles, chapters, timing and the full-depth luma stay as they are.
    """
    if options["end"] is not None and options["end"] <= (options["start"] or 0):
        raise click.UsageError("--end must be later than --start")
    session = Session(options)
    jobs = plan(sources, options["output"], recursive=options["recursive"])
    if options["log_file"]:
        write_log(options["log_file"], jobs, options)
    try:
        outcomes = session.run(jobs)
    except KeyboardInterrupt as stop:
        for note in session.how_to_go_on(ctx.find_root().meta[WORDS]):
            stop.add_note(note)
        raise
    if options["as_json"]:
        click.echo(json.dumps([session.summary(outcome) for outcome in outcomes], indent=2))
    if any(outcome.status == "failed" for outcome in outcomes):
        ctx.exit(1)
