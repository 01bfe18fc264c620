"""The command line. The only room that prints, asks or exits."""

import importlib
import logging
import os
import signal
import sys
from types import FrameType

import click
from click.shell_completion import CompletionItem

from vidcolor import __version__
from vidcolor.errors import VidcolorError

COMMANDS = {
    "colorize": "vidcolor.cli.colorize:colorize",
    "preview": "vidcolor.cli.preview:preview",
    "status": "vidcolor.cli.status:status",
    "weights": "vidcolor.cli.weights:weights",
    "train": "vidcolor.cli.train:train",
    "evaluate": "vidcolor.cli.evaluate:evaluate",
    "info": "vidcolor.cli.info:info",
}
"""Loaded when they are called, so that --help does not wait for torch."""

logger = logging.getLogger(__name__)  # `log` is a module of this package

WORDS = "vidcolor.words"
"""Where a context's meta keeps the words of the command line."""

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end a run as cleanly as Ctrl-C does."""


class Stopped(KeyboardInterrupt):
    """One of the ENDING signals arrived."""

    def __init__(self, number: int):
        self.number = number


def one_line(text: str) -> str:
    """`text` as it can be shown: names of files may hold newlines and commands to the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class Vidcolor(click.Group):
    """A group whose first word may be a film: `vidcolor FILM` is `vidcolor colorize FILM`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        return getattr(importlib.import_module(module), name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[WORDS] = list(args)
        own = {"--help", "-h", "--version"}
        if args and args[0] not in COMMANDS and args[0] not in own:
            args = ["colorize", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and what `colorize` takes: its options and files."""
        colorize = self.get_command(ctx, "colorize")
        assert colorize is not None
        inner = click.Context(colorize, parent=ctx)
        files = [] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")]
        return [
            *super().shell_complete(ctx, incomplete),
            *colorize.shell_complete(inner, incomplete),
            *files,
        ]

    def invoke(self, ctx: click.Context) -> object:
        """Show every error once, in one line; VIDCOLOR_TRACEBACK=1 shows where it came from."""
        try:
            return super().invoke(ctx)
        except VidcolorError as error:
            logger.error("the run ends with an error", exc_info=True)
            if os.environ.get("VIDCOLOR_TRACEBACK"):
                raise
            raise click.ClickException(one_line(str(error))) from error
        except KeyboardInterrupt as stop:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C has nothing to stop
            logger.info("stopped by a signal: %r", stop)
            left = getattr(stop, "__notes__", ["no unfinished result was left behind"])
            click.echo("; ".join(["vidcolor: stopped", *left]), err=True)
            ctx.exit(128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT))


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
    vidcolor film.mp4                       with the built-in model
    vidcolor film.mp4 --model video         with DeOldify's network
    vidcolor archive/ --recursive -o done/  a night's work
    """


def main() -> None:
    """The console script."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, stop)
    # Names of films can hold bytes that are no text; showing them must not fail.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    vidcolor(prog_name="vidcolor")
