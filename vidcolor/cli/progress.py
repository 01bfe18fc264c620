"""Progress on stderr: bars in a terminal, plain lines elsewhere, nothing when quiet."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vidcolor.cli.text import count, duration, one_line

LINE_EVERY = 10.0
"""Seconds between plain lines."""


class FramesPerSecond(ProgressColumn):
    """Frames per second: the present rate of a film; their number and mean rate for the folder."""

    def render(self, task: Task) -> Text:
        if "frames" in task.fields:
            rate = task.fields["frames"] / max(task.elapsed or 0.0, 1.0)
            return Text(f"{count(task.fields['frames'], 'frame')}, {rate:.1f} fps")
        return Text(f"{task.speed:.1f} fps" if task.speed else "- fps")


class Reporter:
    """Progress and messages of a command while it works."""

    def __init__(self, console: Console, files: int, *, quiet: bool):
        self.console = console
        self.files = files
        self.quiet = quiet
        self.done_files = self.done_frames = 0
        self.bars: Progress | None = None
        self.folder: TaskID | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show bars, in a terminal, as long as the block lasts."""
        if self.quiet or not self.console.is_terminal:
            yield
            return
        bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            FramesPerSecond(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        with bars:
            self.bars = bars
            if self.files > 1:
                self.folder = bars.add_task("all files", total=self.files, frames=0)
            yield
        self.bars = None

    def say(self, message: str) -> None:
        """One line, unless quiet."""
        if not self.quiet:
            self.warn(message)

    def warn(self, message: str) -> None:
        """One line that is shown even when quiet."""
        self.console.print(one_line(message), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def film(self, name: str) -> Iterator["FilmProgress"]:
        """Progress of one file of the folder."""
        progress = FilmProgress(self, name)
        try:
            yield progress
        finally:
            progress.close()

    def part_of_file(self, frames: int, part: float) -> None:
        """Count the finished part of the present file into the folder's bar and its time left."""
        if self.bars is not None and self.folder is not None:
            self.bars.update(
                self.folder,
                completed=self.done_files + min(1.0, part),
                frames=self.done_frames + frames,
            )

    def count_file(self, frames: int) -> None:
        """One file of the folder has ended, however it did."""
        self.done_files += 1
        self.done_frames += frames
        self.part_of_file(0, 0.0)


class FilmProgress:
    """Frames done, frames per second and time left of one file."""

    def __init__(self, reporter: Reporter, name: str):
        self.reporter = reporter
        self.name = name = one_line(name)
        if reporter.files > 1:
            self.name = f"{reporter.done_files + 1} of {reporter.files}, {name}"
        self.started = self.last_line = time.monotonic()
        self.first: int | None = None
        """Frames that were done at the first call, such as those of an earlier run."""
        bars = reporter.bars
        self.task = bars.add_task(name, total=None) if bars else None

    def on_frame(self, done: int, total: int | None) -> None:
        """The callback of `colorize_film`."""
        if self.first is None:
            self.first, self.started = done, time.monotonic()
        bars = self.reporter.bars
        if bars is not None and self.task is not None:
            bars.update(self.task, completed=done, total=max(total, done) if total else None)
            self.reporter.part_of_file(done - self.first, done / total if total else 0.0)
        elif time.monotonic() - self.last_line >= LINE_EVERY:
            self.last_line = time.monotonic()
            self.reporter.say(self.line(done, total))

    def line(self, done: int, total: int | None) -> str:
        """Such as "film.mp4: 120 of 480 frames, 24.1 fps, 15 s left"."""
        rate = (done - (self.first or 0)) / max(time.monotonic() - self.started, 1e-6)
        if not total or not rate:
            return f"{self.name}: {count(done, 'frame')}, {rate:.1f} fps"
        left = max(0, total - done) / rate
        return f"{self.name}: {done} of {total} frames, {rate:.1f} fps, {duration(left)} left"

    def close(self) -> None:
        if self.reporter.bars is not None and self.task is not None:
            self.reporter.bars.remove_task(self.task)
