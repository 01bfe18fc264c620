"""The command `vidcolor info`: what this installation works with."""

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidcolor import __version__
from vidcolor.cli.options import device_option, weights_dir_option
from vidcolor.cli.text import one_line
from vidcolor.cli.types import PathName
from vidcolor.errors import VidcolorError

if TYPE_CHECKING:
    from vidcolor.media.source_color import SourceColor

HAS_COLOR = 3
"""Exit status; 1 and 2 are those of errors."""


@click.command()
@click.option(
    "--grayscale",
    "source",
    type=PathName(),
    metavar="FILE",
    help="Say instead whether this film or still has color: gray, toned (as sepia is) or color, "
    "with its mean chroma and how far that is from one tone, in 8-bit code values. The exit status "
    f"is 0 where it is gray, {HAS_COLOR} where it is not.",
)
@device_option
@weights_dir_option
@click.pass_context
def info(ctx: click.Context, source: Path | None, device: str, weights_dir: Path | None) -> None:
    """Show the versions, ffmpeg, models, device and precision in use."""
    if source is not None:
        found = source_color(source)
        click.echo(f"{found.kind} chroma {found.chroma:.2f} spread {found.spread:.2f}")
        ctx.exit(0 if found.kind == "gray" else HAS_COLOR)
    # Line by line: importing torch, for the last ones, takes seconds.
    for lines in (_program(), _ffmpeg(), _models(weights_dir), _torch(device)):
        for name, value in lines:
            click.echo(f"{name:<18}{one_line(value)}")


def source_color(source: Path) -> "SourceColor":
    """How much color a film or a still has. Raises MediaError where it cannot be read."""
    from vidcolor.batch import kind_of
    from vidcolor.media.source_color import film_color, picture_color

    if kind_of(source) == "still":
        from vidcolor.media.still.picture import read_picture

        return picture_color(read_picture(source).rgb)
    from vidcolor.media.probe import probe

    return film_color(probe(source))


def _program() -> Iterator[tuple[str, str]]:
    yield "vidcolor", f"{__version__}, Python {platform.python_version()}"


def _ffmpeg() -> Iterator[tuple[str, str]]:
    """The one that is run and why, and the others."""
    from vidcolor.media.binary import choose_ffmpeg

    try:
        ffmpeg = choose_ffmpeg()
    except VidcolorError as error:
        yield "ffmpeg", str(error)
        return
    yield "ffmpeg", f"{ffmpeg.taken}: {ffmpeg.reason}"
    if others := [*map(str, ffmpeg.others), *ffmpeg.unfit]:
        yield "ffmpeg not taken", "; ".join(others)


def _models(weights_dir: Path | None) -> Iterator[tuple[str, str]]:
    from vidcolor.weights.catalog import MODELS
    from vidcolor.weights.places import locate

    at_hand = [name for name, model in MODELS.items() if locate(model, weights_dir)]
    yield "models on this machine", ", ".join(at_hand) or "none"


def _torch(device: str) -> Iterator[tuple[str, str]]:
    import torch

    from vidcolor.inference.device import choose_device, choose_precision, describe

    yield "torch", torch.__version__
    chosen = choose_device(device)
    yield "device", describe(chosen)
    yield "precision", str(choose_precision("auto", chosen)).removeprefix("torch.")
