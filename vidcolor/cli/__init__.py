"""The command line. The only room that prints, asks or exits."""

import os

import click

from vidcolor import __version__
from vidcolor.cli.group import COMMANDS, Vidcolor
from vidcolor.cli.signals import catch_signals, ignore_signals
from vidcolor.cli.streams import prepare_streams
from vidcolor.cli.text import show_warnings

__all__ = ["COMMANDS", "main", "vidcolor"]


@click.command(
    cls=Vidcolor,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`vidcolor FILM ...` is short for `vidcolor colorize FILM ...`.",
)
@click.version_option(__version__)
def vidcolor() -> None:
    """Color black-and-white films, stills and folders of them.

    \b
    vidcolor film.mp4                            with the built-in model
    vidcolor film.mp4 --model video              with DeOldify's video model
    vidcolor films/ --recursive -o colored/      everything in a folder
    """


def main() -> None:
    """The console script."""
    # Threads that spin beside ffmpeg's are up to 15 times slower; torch reads this on import.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # OpenCV's small pictures gain little from threads, which take time from ffmpeg's.
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", str(max(1, (os.cpu_count() or 1) // 8)))
    prepare_streams()
    catch_signals()
    show_warnings()
    try:
        vidcolor(prog_name="vidcolor")
    finally:
        ignore_signals()
