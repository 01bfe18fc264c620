"""Arguments and options that several commands share."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from vidcolor.chroma.edges import EDGES
from vidcolor.chroma.temporal.settings import STRENGTHS, SmoothSettings
from vidcolor.cli.group import COMMANDS, Refused
from vidcolor.cli.types import ModelName, PathName
from vidcolor.inference.settings import RENDER_FACTORS
from vidcolor.settings import FilmSettings
from vidcolor.weights.catalog import MODELS


def all_there(
    ctx: click.Context, param: click.Parameter, sources: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Callback: refuse, before any work, if a source does not exist."""
    missing = [source for source in sources if not _exists(source)]
    if missing and not ctx.resilient_parsing:
        raise Refused(f"{_no_such(missing)}; {_hint(missing[0])}")
    return sources


def file_there(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Callback: refuse, before any work, the name of a file that does not exist."""
    if path is not None and not ctx.resilient_parsing and not _exists(path):
        raise Refused(f"{_no_such([path])}; check the name after {param.opts[0]}")
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it is there, or its folder may not be read: reading it says why
        return True


def _no_such(missing: Sequence[Path]) -> str:
    return f"no such file or folder: {', '.join(map(str, missing))}"


def _hint(missing: Path) -> str:
    if os.path.lexists(missing):
        return "it is a link, and what it points to is gone"
    if str(missing) in COMMANDS:
        return f"a command comes first: `vidcolor {missing} ...`"
    if missing.name == str(missing) and not missing.suffix:
        return "check the name; `vidcolor --help` lists the commands"
    return "check the name; nothing was done"


sources_argument = click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    type=PathName(),
    callback=all_there,
)

recursive_option = click.option(
    "--recursive", is_flag=True, help="Search the subfolders of folders as well."
)

weights_dir_option = click.option(
    "--weights-dir",
    type=PathName(file_okay=False),
    help="Folder to search for models first, and to download them to.",
)


class DeviceName(click.ParamType):
    """A name that torch knows."""

    name = "device"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = ("auto", "cpu", "cuda", "mps")
        found = (name for name in names if name.startswith(incomplete))
        return [CompletionItem(name) for name in found]


device_option = click.option(
    "--device",
    type=DeviceName(),
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda|cuda:1|mps",
    help="Where to compute; auto takes a GPU if there is one.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")

deinterlace_option = click.option(
    "--deinterlace",
    is_flag=True,
    help="Turn interlaced frames into progressive ones.  [default: keep the fields]",
)

smooth_option = click.option(
    "--smooth",
    type=click.Choice(STRENGTHS),
    default=SmoothSettings.strength,
    show_default=True,
    help="Average colors over time, along the motion, to reduce flicker. Films only.",
)

scenes_option = click.option(
    "--scenes",
    type=PathName(dir_okay=False),
    callback=file_there,
    metavar="FILE.toml",
    help="Settings for single scenes, in the file that `vidcolor scenes` writes. One film only.",
)

references_option = click.option(
    "--references",
    type=PathName(file_okay=False),
    metavar="FOLDER",
    help="Colored stills, named ref_000123.png by the number of their frame, as `vidcolor stills` "
    "writes them: their colors are carried through their shots. One film only.",
)

hints_option = click.option(
    "--hints",
    type=PathName(dir_okay=False),
    callback=file_there,
    metavar="FILE.toml",
    help="Places in frames and their colors, followed through their shots. One film only.",
)

like_option = click.option(
    "--like",
    type=PathName(dir_okay=False),
    callback=file_there,
    metavar="STILL",
    help="A color picture that lends its palette: what looks alike takes over its colors, within "
    "bounds. Films only.",
)

edges_option = click.option(
    "--edges",
    type=click.Choice(EDGES),
    default=FilmSettings.edges,
    show_default=True,
    help="How the model's small color planes are enlarged: along the edges of the picture, "
    "or bilinearly as in DeOldify.",
)


def model_option(help_text: str, default: str | None = None) -> Callable[[Any], Any]:
    """--model, with the names and files that it takes."""
    return click.option(
        "-m",
        "--model",
        type=ModelName(),
        default=default,
        show_default=default is not None,
        metavar=f"{'|'.join(MODELS)}|FILE",
        help=help_text,
    )


def render_factor_option(help_text: str) -> Callable[[Any], Any]:
    """--render-factor in its range."""
    return click.option(
        "-r",
        "--render-factor",
        type=click.IntRange(RENDER_FACTORS.start, RENDER_FACTORS.stop - 1),
        help=help_text,
    )


def given(ctx: click.Context, names: Sequence[str]) -> list[str]:
    """Which of these parameters the user wrote, as they are written: `--end`, not `end`."""
    written = [
        param
        for param in ctx.command.params
        if param.name in names
        and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    ]
    return [max(param.opts, key=len) for param in written]
