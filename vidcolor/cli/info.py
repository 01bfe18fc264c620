"""The command `vidcolor info`: what this installation works with."""

import platform
from collections.abc import Iterator
from pathlib import Path

import click

from vidcolor import __version__
from vidcolor.cli.options import device_option, weights_dir_option
from vidcolor.cli.text import one_line
from vidcolor.errors import VidcolorError


@click.command()
@device_option
@weights_dir_option
def info(device: str, weights_dir: Path | None) -> None:
    """Show the versions, ffmpeg, models, device and precision in use."""
    # Line by line: importing torch, for the last ones, takes seconds.
    for lines in (_program(), _ffmpeg(), _models(weights_dir), _torch(device)):
        for name, value in lines:
            click.echo(f"{name:<18}{one_line(value)}")


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
