"""The command `vidcolor colorize`, which `vidcolor FILM` is short for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from vidcolor.batch import Job, check_suffix, plan
from vidcolor.choices import FILMS_ONLY, check_times, is_controlled, no_effect
from vidcolor.cli.group import WORDS, Refused
from vidcolor.cli.log import write_log
from vidcolor.cli.options import (
    deinterlace_option,
    device_option,
    edges_option,
    given,
    hints_option,
    json_option,
    like_option,
    model_option,
    recursive_option,
    references_option,
    render_factor_option,
    scenes_option,
    smooth_option,
    sources_argument,
    weights_dir_option,
)
from vidcolor.cli.session import Session
from vidcolor.cli.text import count, one_line
from vidcolor.cli.types import PathName, Timecode
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.inference.settings import PRECISIONS, RenderSettings
from vidcolor.resume.store import PieceSettings
from vidcolor.weights.catalog import MODELS


@click.command()
@sources_argument
@model_option("The network that makes the colors; FILE is a .pth or .safetensors file.", "lite")
@render_factor_option(
    "Side, in units of 16 pixels, of the square at which the model computes colors. Larger values "
    "take more time and memory.  [default: the model's own: "
    f"{', '.join(f'{model.name} {model.render_factor}' for model in MODELS.values())}]"
)
@click.option(
    "-o",
    "--output",
    type=PathName(),
    help="File to write, or folder to write to.  [default: NAME.color.SUFFIX beside the source]",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist; never a source.")
@click.option(
    "--fresh", is_flag=True, help="Discard the finished part of a stopped run and start over."
)
@recursive_option
@click.option(
    "--start", type=Timecode(), help="Color from this time on: seconds or HH:MM:SS. Films only."
)
@click.option("--end", type=Timecode(), help="Color up to this time. Films only.")
@click.option(
    "--compare", is_flag=True, help="Put source and result side by side into the film. Films only."
)
@click.option(
    "--saturation",
    type=click.FloatRange(0, 4),
    default=RenderSettings.saturation,
    show_default=True,
    help="Multiply the color saturation by this; 0 is gray.",
)
@click.option(
    "--hue",
    type=click.FloatRange(-180, 180),
    default=RenderSettings.hue,
    show_default=True,
    help="Rotate the hue by so many degrees.",
)
@click.option(
    "--codec",
    help="ffmpeg encoder, such as libx265, h264_nvenc or ffv1; auto-hw for one in hardware, where "
    "there is one. Films only.  "
    "[default: libx264; libx265 above 8 bits; libvpx-vp9 in webm]",
)
@click.option(
    "--crf",
    type=click.IntRange(0, 255),
    help="Quality of the encoder: lower is better and larger. Films only.",
)
@click.option("--preset", help="Speed preset of the encoder, such as fast. Films only.")
@click.option(
    "--pix-fmt",
    help="ffmpeg pixel format. Films only.  [default: 4:2:0 at the source's bit depth]",
)
@smooth_option
@edges_option
@scenes_option
@references_option
@hints_option
@like_option
@click.option(
    "--keep",
    is_flag=True,
    help="Leave the finished pieces beside the result: after a change, the same command colors "
    "only those scenes again that changed. Films only.",
)
@deinterlace_option
@device_option
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=RenderSettings.precision,
    show_default=True,
    help="Number format of the model's computations.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Frames that the model colors together.  [default: what fits into memory]",
)
@weights_dir_option
@click.option(
    "--piece-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=PieceSettings.seconds,
    show_default=True,
    help="Length, in seconds of film, of the pieces that a film is encoded in. Films only.",
)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Print how each film is decoded and encoded as well."
)
@click.option(
    "--log",
    "log_file",
    type=PathName(dir_okay=False),
    help="Append versions, settings, ffmpeg's command lines and messages to this file.",
)
@click.pass_context
def colorize(ctx: click.Context, sources: tuple[Path, ...], **options) -> None:
    """Color films, stills and folders of them.

    Luma at its full bit depth, timestamps, sound, subtitles and chapters are kept. A run that was
    stopped continues when the same command is given again.
    """
    try:
        check_times(options)
    except VidcolorError as error:
        raise Refused(str(error)) from error
    jobs = plan(sources, options["output"], recursive=options["recursive"])
    try:
        for job in jobs:
            check_suffix(job)
    except MediaError as error:
        raise Refused(one_line(str(error))) from error
    check_scenes_option(ctx, options, jobs)
    session = Session(options, jobs)
    without_effect(ctx, session)
    if options["log_file"]:
        write_log(options["log_file"], jobs, options)
    try:
        outcomes = session.run()
    except KeyboardInterrupt as stop:
        for note in session.what_is_left(ctx.find_root().meta[WORDS]):
            stop.add_note(note)
        raise
    if options["as_json"]:
        click.echo(json.dumps([session.summary(outcome) for outcome in outcomes], indent=2))
    if any(outcome.status == "failed" for outcome in outcomes):
        ctx.exit(1)


def check_scenes_option(
    ctx: click.Context, options: Mapping[str, Any], jobs: Sequence[Job]
) -> None:
    """Refuse scenes for several films, and what cannot be had of pieces that end at shots."""
    films = sum(job.kind == "film" for job in jobs)
    for name in ("scenes", "references", "hints"):
        if options[name] and films > 1:
            raise Refused(f"--{name} is for one film; color the others in another call")
    if options["keep"] and (options["start"], options["end"]) != (None, None):
        raise Refused("--keep is for whole films; leave it out, or --start and --end")
    if is_controlled(options) and given(ctx, ("piece_seconds",)):
        raise Refused(
            "--piece-seconds has no effect where every scene is a piece (--scenes, --keep and the "
            "like); leave it out"
        )


def without_effect(ctx: click.Context, session: Session) -> None:
    """Refuse options that no source is concerned by; say which ones do nothing for stills."""
    names = given(ctx, FILMS_ONLY)
    stills = sum(job.kind == "still" for job in session.jobs)
    if not names or not stills:
        return
    if stills == len(session.jobs):
        raise Refused(no_effect(names))
    have = "has" if len(names) == 1 else "have"
    session.reporter.say(f"{' and '.join(names)} {have} no effect on the {count(stills, 'still')}")
