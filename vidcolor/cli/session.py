"""One call of `vidcolor colorize`: its options, its work and its messages."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidcolor.batch import Job, Outcome, run
from vidcolor.choices import (
    check_encoding,
    film_settings,
    is_controlled,
    render_settings,
    still_settings,
)
from vidcolor.cli.controlled import control_film, plain_options, read_scenes, scan_of
from vidcolor.cli.models import fetch_model
from vidcolor.cli.names import names_of, shell_command
from vidcolor.cli.progress import Reporter
from vidcolor.cli.text import count, one_line
from vidcolor.errors import MediaError
from vidcolor.media.containers import EncodeSettings, complete
from vidcolor.media.probe import probe
from vidcolor.resume.done_log import DoneLog
from vidcolor.resume.store import kept
from vidcolor.resume.work_folder import is_of_kept_pieces, is_running, piece_folder
from vidcolor.settings import FilmSettings
from vidcolor.weights.catalog import VIDEO

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Colorizer

log = logging.getLogger(__name__)

TELLING = {"as_json", "quiet", "verbose", "log_file", "overwrite", "fresh"}
"""Options that do not change a result."""

LARGER_MODEL = (
    "lite is a small model; --model video is DeOldify's larger one "
    f"(downloaded once, {(VIDEO.size or 0) / 1e6:.0f} MB)"
)


SLOW = (
    "{}: seeking in it is not exact, so it is decoded from its beginning for every scene; "
    "a copy is faster: ffmpeg -i FILM -c copy FILM.mkv"
)


class Session:
    """One call of the command: its options, its colorizer and its messages."""

    def __init__(self, options: dict, jobs: Sequence[Job]):
        self.options = options
        self.jobs = jobs
        self.names = names_of(jobs)
        self.render = render_settings(options)
        self.settings = film_settings(options)
        self.console = Console(stderr=True)
        self.reporter = Reporter(self.console, len(jobs), quiet=options["quiet"])
        self.job: Job | None = None
        self.outcomes: list[Outcome] = []
        self.colorizer = cache(self.load)
        self.described: set[str] = set()

    def load(self, kind: str) -> "Colorizer":
        """The colorizer for films or stills; `colorizer` loads each of the two once."""
        from vidcolor.cli.models import load_colorizer
        from vidcolor.inference.device import describe

        name = self.options["model"]
        render = still_settings(self.render) if kind == "still" else self.render
        colorizer = load_colorizer(
            name, render, self.options["device"], self.options["weights_dir"], self.reporter.warn
        )
        precision = str(colorizer.dtype).removeprefix("torch.")
        self.say_once(
            f"{name} on {describe(colorizer.device)}, {precision}, "
            f"render factor {colorizer.render_factor}"
        )
        if name == "lite":
            self.say_once(LARGER_MODEL)
        return colorizer

    def say_once(self, message: str) -> None:
        """A line that concerns the whole call."""
        if message not in self.described:
            self.described.add(message)
            self.reporter.say(message)

    def run(self) -> list[Outcome]:
        """Color everything and report on it; with several files, in a table at the end."""
        self.announce()
        # A fault in their file need not wait for a model, and no two bars are shown at once.
        for name in {scene.model for scene in read_scenes(self.options) if scene.model}:
            fetch_model(name, self.options["weights_dir"])
        for job in self.jobs:
            if job.source.exists() and (self.options["overwrite"] or not job.target.exists()):
                if self.fits(job):
                    self.colorizer(job.kind)  # a model that cannot be loaded stops the run at once
                break
        settings = {name: value for name, value in self.options.items() if name not in TELLING}
        done_log = DoneLog(settings)
        if self.options["fresh"]:
            for job in self.jobs:
                done_log.forget(job.target.parent)
        with self.reporter.shown():
            for outcome in run(
                self.jobs,
                self.work,
                overwrite=self.options["overwrite"],
                done_log=done_log,
                may_replace=is_of_kept_pieces if self.options.get("keep") else lambda _: False,
            ):
                self.outcomes.append(outcome)
                self.tell(outcome)
        if len(self.outcomes) > 1 and not self.options["quiet"]:
            self.console.print(table(self.outcomes, self.names))
        return self.outcomes

    def fits(self, job: Job) -> bool:
        """Whether the job can be tried; if not, `work` says why."""
        try:
            check_encoding(job, self.settings.encode)
        except MediaError:
            return False
        return True

    def announce(self) -> None:
        """What will be done; loading torch and the model takes seconds after this line."""
        if len(self.jobs) == 1:
            self.reporter.say(f"{self.jobs[0].source} -> {self.jobs[0].target}")
            return
        kinds = Counter(job.kind for job in self.jobs)
        files = " and ".join(count(number, kind) for kind, number in sorted(kinds.items()))
        self.reporter.say(f"{files} to color")

    def work(self, job: Job) -> Outcome:
        """Color one film or still."""
        from vidcolor.film import colorize_film
        from vidcolor.still import colorize_image

        started = time.monotonic()
        self.job = job
        check_encoding(job, self.settings.encode)  # what is wrong there need not wait for a model
        with self.reporter.film(self.names[job.source]) as progress:
            if job.kind == "still":
                warnings = colorize_image(
                    job.source,
                    job.target,
                    self.colorizer(job.kind),
                    edges=self.settings.edges,
                )
                seconds = time.monotonic() - started
                return Outcome(job, "done", 1, seconds=seconds, warnings=warnings)
            if self.options["verbose"]:
                self.reporter.say(describe_film(job, self.settings.encode))

            def say(note: str) -> None:
                self.reporter.say(f"{job.target}: {note}")

            settings, said = self.settings, {}
            if is_controlled(self.options):
                settings, said = self.controlled(job, say)
            report = colorize_film(
                job.source,
                job.target,
                self.colorizer(job.kind),
                settings,
                **said,
                on_frame=progress.on_frame,
                on_note=say,
            )
        return Outcome(job, "done", report.frames, report.kept, report.seconds, report.warnings)

    def controlled(
        self, job: Job, on_note: Callable[[str], None]
    ) -> tuple[FilmSettings, dict[str, Any]]:
        """Settings and arguments for a film that is divided at shots."""
        from vidcolor.resume.plan import stretch_of

        film = probe(job.source, deinterlace=self.settings.deinterlace)
        scan = scan_of(film, job.target, on_note)
        control = control_film(film, scan, self.options, self.render, self.reporter.warn)
        plan, settings = control.plan, self.settings
        if not plan.seekable and len(plan.pieces) > 1:
            self.reporter.say(SLOW.format(film.path))
        if self.trial:
            plan = stretch_of(plan, film, scan, settings.start, settings.end)
        asked = plain_options(self.options)
        return replace(settings, plan=plan), {"work_for": control.work_for, "asked": asked}

    def what_is_left(self, words: Sequence[str]) -> list[str]:
        """What is kept when the run is stopped, and the command that continues it."""
        if self.job is None:
            return []
        manifest = None if self.trial else kept(self.job.target)
        finished = sum(outcome.status == "done" for outcome in self.outcomes)
        if manifest:
            total = f" of {manifest.total}" if manifest.total else ""
            state = f"{manifest.frames}{total} frames of {self.names[self.job.source]} are kept"
        elif finished:
            state = f"{finished} of {len(self.jobs)} files are finished"
        else:
            return ["Stopped; nothing unfinished is left behind."]
        command = shell_command(["vidcolor", *(word for word in words if word != "--fresh")])
        return [f"Stopped; {state}.", f"To continue, run: {command}"]

    @property
    def trial(self) -> bool:
        """Only a stretch is colored, of which no pieces are kept."""
        return self.options["start"] is not None or self.options["end"] is not None

    def tell(self, outcome: Outcome) -> None:
        """One line for a file, and its warnings."""
        new = outcome.frames - outcome.kept
        log.info("%s: %s", outcome.job.source, outcome)
        self.reporter.count_file(new)
        for warning in outcome.warnings:
            self.reporter.warn(f"Warning: {outcome.job.source}: {warning}")
        target = outcome.job.target
        if outcome.status == "failed":
            self.reporter.warn(f"Error: {outcome.error}{self.what_is_kept(outcome)}")
        elif outcome.status == "skipped":
            self.reporter.say(f"{target}: skipped, it exists already")
        elif outcome.job.kind == "still":
            self.reporter.say(f"{target}: done in {outcome.seconds:.1f} s")
        else:
            rate = new / max(outcome.seconds, 1e-6)
            self.reporter.say(
                f"{target}: {count(outcome.frames, 'frame')} in {outcome.seconds:.1f} s"
                f" ({rate:.1f} fps)"
            )

    def what_is_kept(self, outcome: Outcome) -> str:
        """What to add to an error when its film can be continued, unless it says that itself."""
        job = outcome.job
        manifest = None if "--fresh" in (outcome.error or "") else kept(job.target)
        if self.trial or manifest is None or manifest.keep or is_running(piece_folder(job.target)):
            return ""
        frames = count(manifest.frames, "colored frame")
        if manifest.complete:
            return f" (all {frames} are kept; the same command joins them, --fresh starts over)"
        return f" ({frames} kept; the same command continues after them)"

    def summary(self, outcome: Outcome) -> dict:
        """An outcome as JSON has it."""
        job = outcome.job
        return {
            "source": str(job.source),
            "target": str(job.target),
            "kind": job.kind,
            "status": outcome.status,
            "error": outcome.error,
            "warnings": list(outcome.warnings),
            "frames": outcome.frames,
            "kept": outcome.kept,
            "seconds": round(outcome.seconds, 3),
            "model": self.options["model"],
            "render_factor": (
                self.colorizer(job.kind).render_factor if outcome.status == "done" else None
            ),
        }


def table(outcomes: Sequence[Outcome], names: Mapping[Path, str]) -> Table:
    """What became of each file."""
    result = Table(box=None, pad_edge=False)
    result.add_column("result")
    result.add_column("source", overflow="fold")
    result.add_column("frames", justify="right")
    result.add_column("seconds", justify="right")
    result.add_column("error or warnings", overflow="fold")
    for outcome in outcomes:
        done = outcome.status == "done"
        result.add_row(
            outcome.status,
            Text(names[outcome.job.source]),
            str(outcome.frames) if done else "",
            f"{outcome.seconds:.1f}" if done else "",
            Text(one_line(outcome.error or "; ".join(outcome.warnings))),
        )
    return result


def describe_film(job: Job, encode: EncodeSettings) -> str:
    """How a film is read and written, in one line."""
    film = probe(job.source)
    written = complete(film, encode, job.target.suffix)
    return (
        f"{job.source}: {film.codec} in {film.container}, {film.width}x{film.height} "
        f"{film.pixel_format}, {film.matrix}, {float(film.frame_rate or 0):.3f} fps, "
        f"{count(len(film.streams), 'stream')} -> {written.codec} {written.pix_fmt}, "
        f"crf {written.crf}, preset {written.preset}"
    )
