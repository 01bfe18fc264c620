"""The group of commands: found by name, loaded when called, their errors shown in one line."""

import importlib
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from vidcolor.cli.signals import Stopped
from vidcolor.cli.text import one_line
from vidcolor.errors import VidcolorError

logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says of it without loading it."""

    place: str
    summary: str


COMMANDS = {
    "colorize": Entry("vidcolor.cli.colorize:colorize", "Color films, stills and folders."),
    "preview": Entry("vidcolor.cli.preview:preview", "Compare models on a few frames."),
    "scenes": Entry("vidcolor.cli.scenes:scenes", "Find the scenes of a film."),
    "stills": Entry("vidcolor.cli.stills:stills", "Color single frames, to be painted on."),
    "archive": Entry("vidcolor.cli.archive:archive", "Color an archive on many machines."),
    "status": Entry("vidcolor.cli.status:status", "Show what is colored and what is left."),
    "weights": Entry("vidcolor.cli.weights:weights", "List, download and verify models."),
    "train": Entry("vidcolor.cli.train:train", "Train a model on color photos."),
    "evaluate": Entry("vidcolor.cli.evaluate:evaluate", "Measure results or a model."),
    "serve": Entry("vidcolor.cli.serve:serve", "Color in a browser or over HTTP."),
    "bench": Entry("vidcolor.cli.bench:bench", "Measure the speed of this machine."),
    "info": Entry("vidcolor.cli.info:info", "Show the ffmpeg, device and models in use."),
}

WORDS = "vidcolor.words"
"""Where a context's meta keeps the arguments of the command line."""

OWN_OPTIONS = {"--help", "-h", "--version"}


class Refused(click.ClickException):
    """The command line cannot be carried out; shown in one line, without the usage."""

    exit_code = 2


class Vidcolor(click.Group):
    """A group whose first argument may be a film: `vidcolor FILM` is `vidcolor colorize FILM`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].place.split(":")
        return getattr(importlib.import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        with _in_one_line():
            return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[WORDS] = list(args)
        if args and args[0] not in COMMANDS and args[0] not in OWN_OPTIONS:
            _refuse_mistyped(args[0])
            args = ["colorize", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and what `colorize` takes: its options and files."""
        colorize = self.get_command(ctx, "colorize")
        assert colorize is not None
        inner = click.Context(colorize, parent=ctx)
        commands = [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # Bash forgets what comes before a "file"; after it, it offers files where no name fits.
        files = [] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")]
        own = click.Command.shell_complete(self, ctx, incomplete)
        return [*files, *commands, *own, *colorize.shell_complete(inner, incomplete)]

    def invoke(self, ctx: click.Context) -> object:
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Show every error once, in one line; VIDCOLOR_TRACEBACK=1 shows where it came from."""
    try:
        yield
    except VidcolorError as error:
        logger.error("the run ends with an error", exc_info=True)
        if os.environ.get("VIDCOLOR_TRACEBACK"):
            raise
        raise click.ClickException(one_line(str(error))) from error
    except click.exceptions.NoArgsIsHelpError:  # its message is the help
        raise
    except click.ClickException as error:
        vars(error)["message"] = one_line(error.message or "")
        raise
    except KeyboardInterrupt as stop:
        logger.info("stopped by a signal: %r", stop)
        for line in getattr(stop, "__notes__", ["Stopped."]):
            click.echo(one_line(line), err=True)
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        raise click.exceptions.Exit(128 + number) from None


def _refuse_mistyped(word: str) -> None:
    """Refuse a first argument that is not a file, but close to the name of a command."""
    if word.startswith("-") or Path(word).name != word or Path(word).suffix:
        return
    close = get_close_matches(word, COMMANDS, n=1, cutoff=0.7)
    if close and not os.path.lexists(word):
        raise Refused(f"there is no command or file '{word}'; did you mean `vidcolor {close[0]}`?")
