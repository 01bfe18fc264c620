"""The command `vidcolor info`: what this installation has to work with."""

import platform
from pathlib import Path

import click

from vidcolor import __version__
from vidcolor.cli.options import device_option, weights_dir_option
from vidcolor.errors import VidcolorError


@click.command()
@device_option
@weights_dir_option
def info(device: str, weights_dir: Path | None) -> None:
    """Say which ffmpeg, device, precision and models are used."""
    import torch

    from vidcolor.inference.device import choose_device, choose_precision, describe
    from vidcolor.media.binary import choose_ffmpeg
    from vidcolor.weights.catalog import MODELS
    from vidcolor.weights.places import locate

    chosen = choose_device(device)
    precision = str(choose_precision("auto", chosen)).removeprefix("torch.")
    try:
        ffmpeg = choose_ffmpeg()
        ffmpeg_lines = {"ffmpeg": f"{ffmpeg.taken}: {ffmpeg.reason}"}
        if others := [*map(str, ffmpeg.others), *ffmpeg.unfit]:
            ffmpeg_lines["ffmpeg not taken"] = "; ".join(others)
    except VidcolorError as error:
        ffmpeg_lines = {"ffmpeg": str(error)}
    at_hand = [name for name, model in MODELS.items() if locate(model, weights_dir)]

    lines = {
        "vidcolor": f"{__version__}, Python {platform.python_version()}",
        "torch": torch.__version__,
        **ffmpeg_lines,
        "device": describe(chosen),
        "precision": precision,
        "models at hand": ", ".join(at_hand) or "none",
    }
    for name, value in lines.items():
        click.echo(f"{name:<18}{value}")
