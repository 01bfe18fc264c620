"""Options and values that several commands share."""

import re
from pathlib import Path

import click

from vidcolor.chroma.temporal.settings import STRENGTHS, SmoothSettings
from vidcolor.errors import WeightsError
from vidcolor.inference.settings import EDGES, RenderSettings
from vidcolor.weights.catalog import lookup


class Timecode(click.ParamType):
    """Seconds, or [HH:]MM:SS, with a fraction if need be."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", str(value)):
            self.fail(f"{value!r} is no time; write seconds or HH:MM:SS", param, ctx)
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
            self.fail(f"{value!r} is no list of numbers such as 10,21,35", param, ctx)
        for number in numbers:
            if number not in self.allowed:
                low, high = self.allowed.start, self.allowed.stop - 1
                self.fail(f"{number} is out of range; use {low} to {high}", param, ctx)
        return numbers


def known_model(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Callback of --model: refuse what is neither a known name nor a file."""
    if not Path(value).expanduser().is_file():
        try:
            lookup(value)
        except WeightsError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return value


weights_dir_option = click.option(
    "--weights-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Look for models here first, and download them to here.",
)

device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps ..."
)

deinterlace_option = click.option(
    "--deinterlace",
    is_flag=True,
    help="Make one picture of the two fields of interlaced frames. Default: keep the fields.",
)

smooth_option = click.option(
    "--smooth",
    type=click.Choice(STRENGTHS),
    default=SmoothSettings.strength,
    show_default=True,
    help="How much a film's colors are steadied over time.",
)

edges_option = click.option(
    "--edges",
    type=click.Choice(EDGES),
    default=RenderSettings.edges,
    show_default=True,
    help="Guided: colors end where the picture has an edge. Bilinear: as DeOldify does.",
)
