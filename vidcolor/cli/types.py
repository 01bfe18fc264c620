"""Types of arguments and options: what is accepted, how it is refused, what a shell completes."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from vidcolor.errors import WeightsError
from vidcolor.weights.catalog import MODELS, lookup


class PathName(click.Path):
    """A path. Refuses an empty one, which an unset variable leaves behind, and a web address."""

    def __init__(self, **checks: Any) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = os.fsdecode(value)
        if not text:
            self.fail("the name is empty; is a variable of your shell not set?", param, ctx)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) and not os.path.lexists(text):
            self.fail(
                f"{text} is an address, and vidcolor reads and writes files only; "
                "download the film, or name a local file",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class PlaceName(PathName):
    """A folder, or an address that fsspec knows."""

    name = "folder or address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = os.fsdecode(value)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", text):
            return text
        return str(super().convert(value, param, ctx))


class ShardNumber(click.ParamType):
    """I/N, counting from 1."""

    name = "shard"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", str(value))
        number, of = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= of:
            self.fail(f"'{value}' is not a shard such as 3/8, counting from 1", param, ctx)
        return number, of


class Timecode(click.ParamType):
    """Seconds, or [HH:]MM:SS, with a fraction if need be."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", str(value)):
            self.fail(f"'{value}' is not a time; write seconds or HH:MM:SS", param, ctx)
        seconds = 0.0
        for part in str(value).split(":"):
            seconds = 60 * seconds + float(part)
        return seconds


class Numbers(click.ParamType):
    """Whole numbers between commas, each out of a range."""

    name = "numbers"

    def __init__(self, allowed: range):
        self.allowed = allowed

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' is not a list of numbers such as 10,21,35", param, ctx)
        for number in numbers:
            if number not in self.allowed:
                low, high = self.allowed.start, self.allowed.stop - 1
                self.fail(f"{number} is not in the range {low} to {high}", param, ctx)
        return numbers


class ModelName(click.ParamType):
    """The name of a published model, or the path of a weights file."""

    name = "model"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        name = str(value)
        if not Path(name).expanduser().is_file() or not name:
            try:
                lookup(name)
            except WeightsError as error:
                self.fail(str(error), param, ctx)
        return name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return name_or_file(MODELS, incomplete)


class ModelNames(click.ParamType):
    """Several of them between commas."""

    name = "models"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(ModelName().convert(name, param, ctx) for name in str(value).split(","))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        items = name_or_file(MODELS, last)
        return [CompletionItem(before + comma + item.value, item.type) for item in items]


def name_or_file(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """What a shell offers where a known name or the path of a file may stand."""
    # Bash forgets what comes before a "file"; after it, it offers files where no name fits.
    file = CompletionItem(incomplete, type="file")
    return [file, *(CompletionItem(name) for name in names if name.startswith(incomplete))]
