"""The command `vidcolor serve`: a page and an HTTP API for the same colors."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vidcolor.cli.colorize import colorize
from vidcolor.cli.options import device_option, weights_dir_option
from vidcolor.cli.text import one_line
from vidcolor.cli.types import PathName
from vidcolor.errors import VidcolorError
from vidcolor.weights.catalog import MODELS

LOCAL = ("127.0.0.1", "localhost", "::1")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Size(click.ParamType):
    """Bytes, with a unit if need be: 500M, 64G."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)([KMGT]?)", str(value).upper())
        if not match:
            self.fail(f"'{value}' is not a size; write one such as 500M or 64G", param, ctx)
        return int(float(match[1]) * UNITS[match[2]])


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8017,
    show_default=True,
    help="Port to listen at; 0 takes a free one.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Name under which the server may be addressed, such as that of a proxy; repeatable.",
)
@click.option(
    "--data",
    type=PathName(file_okay=False),
    help="Folder for uploads, jobs and results.  [default: in the user's folder for state]",
)
@click.option(
    "--model",
    type=click.Choice(list(MODELS)),
    default="lite",
    show_default=True,
    help="Loaded at the start, and used where a job names none.",
)
@device_option
@weights_dir_option
@click.option("--max-upload", type=Size(), default="64G", show_default=True, help="Largest file.")
@click.option(
    "--max-uploads", type=Size(), default="256G", show_default=True, help="All files together."
)
@click.option(
    "--max-queue",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Jobs that may wait.",
)
@click.option(
    "--min-free", type=Size(), default="2G", show_default=True, help="Disk space to leave free."
)
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0, min_open=True),
    default=7,
    show_default=True,
    help="Days after which files and results are deleted.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Seconds to finish the piece in hand when the server is told to end.",
)
@click.option("--new-token", is_flag=True, help="Make a new token; the one before is void.")
def serve(
    host: str,
    port: int,
    allowed_hosts: tuple[str, ...],
    data: Path | None,
    model: str,
    device: str,
    weights_dir: Path | None,
    max_upload: int,
    max_uploads: int,
    max_queue: int,
    min_free: int,
    keep_days: float,
    grace: float,
    new_token: bool,
) -> None:
    """Color films and stills in a browser, or over HTTP.

    Prints an address with a token; who has it may use the server. Listens on this machine alone
    unless --host is given.
    """
    try:
        from vidcolor.serve.server import serve as run
    except ImportError as error:
        raise VidcolorError(
            f"`vidcolor serve` needs the extra serve ({error.name} is missing); "
            "run pip install 'vidcolor[serve]'"
        ) from error
    from vidcolor.serve.settings import DAY, Limits, ServeSettings, default_data

    _log()
    settings = ServeSettings(
        data=data or default_data(),
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
        model=model,
        device=device,
        weights_dir=weights_dir,
        grace=grace,
        limits=Limits(
            upload_bytes=max_upload,
            uploads_bytes=max_uploads,
            queue=max_queue,
            free_bytes=min_free,
            keep=keep_days * DAY,
        ),
    )
    if host not in LOCAL:
        click.echo(
            f"Warning: listening at {one_line(host)}, where others may reach it, without "
            "encryption; put it behind a proxy with TLS (docs/serve.md)",
            err=True,
        )
    run(
        settings,
        ColorizeOptions(),
        lambda address: click.echo(f"vidcolor is at {address}"),
        new_token=new_token,
    )


def _log() -> None:
    """From now on write what the server does to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("vidcolor.serve", "uvicorn"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)


class ColorizeOptions:
    """Options as `vidcolor colorize` reads them, for the server, which knows no command line."""

    def __init__(self) -> None:
        self._params = {
            param.name: param
            for param in colorize.params
            if isinstance(param, click.Option) and param.name
        }

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options, with defaults; VidcolorError in the command line's words."""
        try:
            words = [word for name, value in given.items() for word in self._words(name, value)]
            # A source has to be there; it is not looked at.
            parsed = colorize.make_context("colorize", [*words, "--", os.devnull])
        except click.ClickException as error:
            raise VidcolorError(one_line(error.format_message())) from error
        return {name: parsed.params[name] for name in self._params}

    def described(self) -> list[dict[str, Any]]:
        """What there is, with its help."""
        defaults = self.read({})
        return [
            {
                "name": name,
                "flag": self.flag(name),
                "help": param.help,
                "type": _type_name(param),
                "choices": list(getattr(param.type, "choices", ())) or None,
                "minimum": getattr(param.type, "min", None),
                "maximum": getattr(param.type, "max", None),
                "default": defaults[name],
            }
            for name, param in self._params.items()
        ]

    def _words(self, name: str, value: Any) -> list[str]:
        """An option as it would stand on the command line."""
        param, flag = self._params[name], self.flag(name)
        if not param.is_flag:
            return [f"{flag}={value:.15g}" if isinstance(value, float) else f"{flag}={value}"]
        if value in (True, "true"):
            return [flag]
        if value in (False, "false"):
            return []
        raise click.BadParameter(f"'{value}' is neither true nor false", param=param)

    def flag(self, name: str) -> str:
        """How an option is written on the command line."""
        return max(self._params[name].opts, key=len)


def _type_name(param: click.Option) -> str:
    if param.is_flag:
        return "boolean"
    if isinstance(param.type, click.Choice):
        return "choice"
    if isinstance(param.type, click.IntRange):
        return "integer"
    if isinstance(param.type, click.FloatRange) or param.name in ("start", "end"):
        return "number"
    return "string"
