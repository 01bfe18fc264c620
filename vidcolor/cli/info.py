"""The command `vidcolor info`: what this installation has to work with."""

import platform

import click
from rich.console import Console
from rich.table import Table

from vidcolor import __version__
from vidcolor.cli.options import device_option, weights_dir_option
from vidcolor.errors import VidcolorError


@click.command()
@device_option
@weights_dir_option
def info(device, weights_dir) -> None:
    """Say which ffmpeg, device, precision and models are used."""
    import torch

    from vidcolor.device import choose_device, choose_precision, describe
    from vidcolor.media.binary import find_ffmpeg
    from vidcolor.weights.catalog import MODELS
    from vidcolor.weights.places import locate

    chosen = choose_device(device)
    precision = str(choose_precision("auto", chosen)).removeprefix("torch.")
    try:
        ffmpeg = find_ffmpeg()
        ffmpeg_line = f"{'.'.join(map(str, ffmpeg.version))}, {ffmpeg.path} ({ffmpeg.origin})"
    except VidcolorError as error:
        ffmpeg_line = str(error)
    at_hand = [name for name, model in MODELS.items() if locate(model, weights_dir)]

    table = Table(box=None, show_header=False)
    table.add_row("vidcolor", f"{__version__}, Python {platform.python_version()}")
    table.add_row("torch", torch.__version__)
    table.add_row("ffmpeg", ffmpeg_line)
    table.add_row("device", describe(chosen))
    table.add_row("precision", precision)
    table.add_row("models at hand", ", ".join(at_hand) or "none")
    Console().print(table)
