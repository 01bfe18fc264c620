"""The command `vidcolor archive`: a whole archive, on many machines."""

import io
import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from vidcolor.choices import film_settings, render_settings
from vidcolor.cli.colorize import colorize
from vidcolor.cli.group import WORDS, Refused
from vidcolor.cli.log import write_log
from vidcolor.cli.names import shell_command
from vidcolor.cli.options import json_option
from vidcolor.cli.text import count, duration, one_line
from vidcolor.cli.types import PathName, PlaceName, ShardNumber

if TYPE_CHECKING:
    from vidcolor.archive import run as runs
    from vidcolor.archive.estimate import Estimate
    from vidcolor.archive.films import Archive
    from vidcolor.archive.scheduler import FilmEnded

log = logging.getLogger(__name__)

COLORING = (
    *("model", "render_factor", "saturation", "hue", "codec", "crf", "preset", "pix_fmt"),
    *("smooth", "edges", "deinterlace", "device", "precision", "batch_size", "weights_dir"),
)
"""Options that mean what they mean to `colorize`."""

PIECE_SECONDS = 300.0

NO_PRICE = "give --price-per-hour for a cost"

LINE_EVERY = 30.0
"""Seconds between plain lines."""


@click.command()
@click.argument("source", metavar="SRC", type=PlaceName())
@click.argument("target", metavar="DST", type=PlaceName())
@click.option(
    "--ray",
    metavar="auto|local|ADDRESS",
    help="Work on this Ray cluster; local: this machine alone; auto: the cluster that this machine "
    "belongs to, or else local.  [default: auto]",
)
@click.option(
    "--shard",
    type=ShardNumber(),
    metavar="I/N",
    help="Work in this process alone, without Ray, as the I-th of N. It begins with its own films "
    "and then helps the others.",
)
@click.option(
    "--piece-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=PIECE_SECONDS,
    show_default=True,
    help="A film that is longer than this, in seconds, is divided at cuts into pieces of about "
    "this length.",
)
@click.option("--workers", type=click.IntRange(min=1), help="How many, instead of what fits.")
@click.option(
    "--gpu-share",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Part of a GPU that a worker takes.  [default: 0.25 for lite, 1 for other models]",
)
@click.option(
    "--cpus-per-worker",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="On a cluster without GPUs.",
)
@click.option(
    "--scratch",
    type=PathName(file_okay=False),
    help="Folder on each machine's own disk for films that are fetched and unfinished files.  "
    "[default: in the folder for temporary files]",
)
@click.option(
    "--claim-seconds",
    type=click.FloatRange(min=2),
    default=60.0,
    show_default=True,
    help="After so long without a sign of life, others take over what a worker has begun.",
)
@click.option("--retry-failed", is_flag=True, help="Try films again that failed earlier.")
@click.option(
    "--dry-run", is_flag=True, help="Count films, color a few seconds, and say what it will take."
)
@click.option(
    "--price-per-hour",
    type=click.FloatRange(min=0),
    help="Of one GPU, or one CPU worker, for the cost that --dry-run prints.",
)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
@click.option(
    "--log",
    "log_file",
    type=PathName(dir_okay=False),
    help="Append versions, settings and messages of this process to this file.",
)
@click.pass_context
def archive(ctx: click.Context, source: str, target: str, **options: Any) -> None:
    """Color the films of a whole archive, on as many machines as there are.

    SRC and DST are folders or addresses such as s3://bucket/films. The tree of SRC is mirrored;
    films that have a result are left alone. A run may be stopped and started again at any time, and
    several may work on the same DST, on clusters and as shards: nothing is colored twice and
    nothing is lost. `vidcolor status DST` shows how far they are.
    """
    from vidcolor.archive.run import Run

    if options["ray"] is not None and options["shard"] is not None:
        raise Refused("--ray and --shard are two ways to work; give one of them")
    if options["price_per_hour"] is not None and not options["dry_run"]:
        raise Refused("--price-per-hour is for --dry-run; add it")
    display = Display(quiet=options["quiet"])
    run = Run(
        job_settings(source, target, options),
        how_to_work(options),
        on_progress=display.on_progress,
        on_end=display.on_end,
        on_note=display.warn,
    )
    if options["log_file"]:  # not before addresses that hold a password were refused
        write_log(options["log_file"], [], options)
    if options["dry_run"]:
        with redirect_stdout(ToLog()):
            estimate = run.estimate(options["price_per_hour"])
        tell_estimate(estimate, options, run.archive)
        return
    display.say(f"{source} -> {target}")
    try:
        with display.shown(), redirect_stdout(ToLog()):
            report = run.run()
    except KeyboardInterrupt as stop:
        progress = run.progress
        stop.add_note(f"Stopped; {progress.done} of {count(progress.films, 'film')} are done.")
        words = shell_command(["vidcolor", *ctx.find_root().meta[WORDS]])
        stop.add_note(f"To continue, run: {words}")
        raise
    if options["as_json"]:
        click.echo(json.dumps(asdict(report), indent=2))
    elif not options["quiet"]:
        display.console.print(report_table(report))
    if report.stills:
        display.say(f"{count(report.stills, 'still')} left out; `vidcolor colorize` takes them")
    if report.failed:
        ctx.exit(1)


# Their help, defaults and checks are those of `colorize`.
archive.params[2:2] = [param for param in colorize.params if param.name in COLORING]


def job_settings(source: str, target: str, options: dict[str, Any]) -> Any:
    """What every worker has to know. Paths become absolute: workers run in other folders."""
    from vidcolor.archive.store import is_address
    from vidcolor.archive.worker import JobSettings

    not_offered = {"start": None, "end": None, "compare": False, "fresh": False}
    settings = film_settings({**options, **not_offered})
    # A piece that was not finished is made anew, on whichever machine.
    pieces = replace(settings.pieces, save_every=math.inf)
    places = (
        place if is_address(place) else str(Path(place).absolute()) for place in (source, target)
    )
    model = options["model"]
    return JobSettings(
        source=next(places),
        target=next(places),
        model=str(Path(model).absolute()) if Path(model).is_file() else model,
        render=render_settings(options),
        film=replace(settings, pieces=pieces),
        device=options["device"],
        weights_dir=str(options["weights_dir"]) if options["weights_dir"] else None,
        scratch=str(options["scratch"].absolute()) if options["scratch"] else None,
        claim_seconds=options["claim_seconds"],
        retry_failed=options["retry_failed"],
    )


def how_to_work(options: dict[str, Any]) -> Any:
    """On a cluster, or as a shard."""
    from vidcolor.archive.run import ClusterSettings, Shard

    if options["shard"]:
        return Shard(*options["shard"])
    return ClusterSettings(
        address=options["ray"] or "auto",
        gpu_share=options["gpu_share"],
        cpus=options["cpus_per_worker"],
        workers=options["workers"],
    )


class ToLog(io.TextIOBase):
    """Takes what Ray prints on stdout, where a program may wait for JSON."""

    def write(self, text: str) -> int:
        if text.strip():
            log.info("%s", text.rstrip())
        return len(text)


class Display:
    """Progress and messages on stderr: a bar in a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool):
        self.console = Console(stderr=True)
        self.quiet = quiet
        self.bars: Progress | None = None
        self.last_line = time.monotonic()

    @contextmanager
    def shown(self) -> Iterator[None]:
        if self.quiet or not self.console.is_terminal:
            yield
            return
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        with Progress(TextColumn("films"), *columns, console=self.console) as bars:
            bars.add_task("", total=None)
            self.bars = bars
            yield
        self.bars = None

    def on_progress(self, progress: "runs.Progress") -> None:
        if self.bars:
            task = self.bars.task_ids[0]
            done = progress.done + progress.failed
            self.bars.update(
                task, completed=done, total=progress.films, description=_how_far(progress)
            )
        elif time.monotonic() - self.last_line >= LINE_EVERY:
            self.last_line = time.monotonic()
            films = f"{progress.done + progress.failed} of {count(progress.films, 'film')}"
            self.say(f"{films}, {_how_far(progress)}")

    def on_end(self, ended: "FilmEnded") -> None:
        outcome = ended.outcome
        error = getattr(outcome, "error", None)
        if error is not None:
            self.warn(f"Error: {ended.film.name}: {error}")
            return
        for warning in getattr(outcome, "warnings", ()):
            log.info("%s: %s", ended.film.name, warning)

    def say(self, message: str) -> None:
        if not self.quiet:
            self.warn(message)

    def warn(self, message: str) -> None:
        self.console.print(one_line(message), markup=False, highlight=False, soft_wrap=True)


def _how_far(progress: "runs.Progress") -> str:
    left = "" if progress.left is None else f", {duration(progress.left)} left"
    failed = f", {progress.failed} failed" if progress.failed else ""
    return (
        f"{count(progress.frames, 'frame')}, {progress.rate:.1f} fps, "
        f"{progress.working} of {count(progress.workers, 'worker')} busy{failed}{left}"
    )


def report_table(report: "runs.Report") -> Table:
    """How a run has ended."""
    failures = ", ".join(f"{name} {number}" for name, number in sorted(report.failures.items()))
    retries = ", ".join(f"{name} {number}" for name, number in sorted(report.retries.items()))
    rows = {
        "films": f"{report.films}, of which {report.done_before} were done before",
        "done": f"{report.done}, of which {report.made} by this run",
        "failed": f"{report.failed}" + (f" ({failures})" if failures else ""),
        "hours of film": f"{report.hours_of_film:.2f}",
        "frames": f"{report.frames} in {count(report.pieces, 'piece')}",
        "wall time": duration(report.seconds),
        "frames per second": f"{report.frames_per_second:.1f} by {report.workers} workers; "
        f"{report.frames_per_second_of_work:.1f} of a worker while it colors",
        "pieces begun again": f"{report.begun_again}",
        "pieces finished twice": f"{report.finished_twice}",
        "tried again": retries or "nothing",
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def tell_estimate(estimate: "Estimate", options: dict[str, Any], found: "Archive") -> None:
    """What --dry-run prints."""
    if options["as_json"]:
        click.echo(json.dumps(asdict(estimate), indent=2))
        return
    gigabytes = estimate.bytes / 1e9
    click.echo(f"{count(estimate.films, 'film')} to color ({gigabytes:.1f} GB), {found.done} done")
    if not estimate.samples:
        click.echo("none of the films that were looked at can be read; nothing else is known")
        return
    click.echo(
        f"about {estimate.hours_of_film:.1f} hours, {estimate.frames} frames "
        f"(from {count(estimate.samples, 'film')}, by bytes)"
    )
    click.echo(
        f"{estimate.frames_per_second:.1f} frames per second by one worker that has its device for "
        f"itself: {estimate.worker_hours:.1f} hours of one device"
    )
    click.echo(NO_PRICE if estimate.cost is None else f"cost: {estimate.cost:.2f}")
