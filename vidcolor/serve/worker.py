"""The process that owns the device. It reads tasks from stdin and tells of them on stdout.

One JSON object per line, in both directions. Films are colored one after the other; stills and
contact sheets, which are quick, in a second thread, so that they do not wait for a film. The end of
stdin means that the server is gone: the worker then saves what it has and goes, too.
"""

import faulthandler
import json
import logging
import os
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock

from vidcolor.batch import Job, Outcome, run
from vidcolor.choices import film_settings, render_settings, still_settings
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.inference.settings import RenderSettings
from vidcolor.resume.done_log import DoneLog
from vidcolor.resume.manifest import Manifest
from vidcolor.resume.store import kept

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Colorizer
    from vidcolor.pipeline import EncodedFrame

PROGRESS_EVERY = 0.25
"""Seconds between two messages of progress."""

SHOWN_EVERY = 1.0
"""Seconds between two pictures of the frame in hand."""

WINDOW = 10.0
"""Seconds over which the speed is measured."""

MODELS_KEPT = 2


class _Leave(BaseException):
    """Ends a task in hand; what is finished of it is kept, as with any signal."""


class _Canceled(_Leave):
    """The client does not want it any more."""


class _Stopped(_Leave):
    """The worker is to end."""


@dataclass
class Ending:
    """When the worker has to be gone."""

    deadline: float
    pieces: int | None = None
    """Finished pieces of the film in hand when it was told to end."""


class Worker:
    """Colors what it is told to.

    out: where messages go. device, weights_dir: as on the command line. free_bytes: disk space that
    is left free.
    """

    def __init__(self, out: IO[str], device: str, weights_dir: str | None, free_bytes: int):
        self.device = device
        self.weights_dir = weights_dir
        self.free_bytes = free_bytes
        self._out = out
        self._writing = threading.Lock()
        self._loading = threading.Lock()
        self._models: dict[tuple[str, str], Colorizer] = {}
        self._canceled: set[str] = set()
        self._ending: Ending | None = None
        self._lanes = {"film": SimpleQueue[Any](), "quick": SimpleQueue[Any]()}

    def run(self, tasks: IO[str], model: str, grace: float) -> None:
        """Load `model`, then do tasks until there are no more."""
        try:
            colorizer = self.colorizer(model, RenderSettings())
        except VidcolorError as error:
            self.say("unready", error=str(error))
            return
        self.say("ready", model=model, device=str(colorizer.device))
        threads = [
            threading.Thread(target=self._work, args=(lane,), daemon=True)
            for lane in self._lanes.values()
        ]
        for thread in threads:
            thread.start()
        for line in tasks:
            task = json.loads(line)
            if task["do"] == "cancel":
                self._canceled.add(task["id"])
            elif task["do"] == "stop":
                break
            else:
                self._lanes[task["lane"]].put(task)
        self._ending = Ending(time.monotonic() + grace)
        for lane in self._lanes.values():
            lane.put(None)
        for thread in threads:
            thread.join(max(0.0, self._ending.deadline + 5 - time.monotonic()))

    def say(self, event: str, **fields: Any) -> None:
        """Send a message. A server that is gone is not an error: the end of stdin says so, too."""
        line = json.dumps({"event": event, **fields}) + "\n"
        with self._writing:
            try:
                self._out.write(line)
                self._out.flush()
            except OSError:
                pass

    def colorizer(self, model: str, render: RenderSettings) -> "Colorizer":
        """The model under these settings, exactly as the command line loads it."""
        from vidcolor.inference.colorizer import Colorizer
        from vidcolor.weights.catalog import MODELS

        if render.render_factor is None:
            render = replace(render, render_factor=MODELS[model].render_factor)
        with self._loading:
            key = (model, render.precision)
            if key not in self._models:
                while len(self._models) >= 2 * MODELS_KEPT:
                    del self._models[next(iter(self._models))]
                self._models[key] = Colorizer.load(
                    model,
                    render,
                    device=self.device,
                    weights_dir=self.weights_dir,
                    on_note=lambda note: None,
                )
            return self._models[key].with_settings(render)

    def _work(self, lane: "SimpleQueue[Any]") -> None:
        while (task := lane.get()) is not None:
            if self._ending:
                return
            try:
                self.say("begun", id=task["id"])
                if task["do"] == "sheet":
                    self._sheet(task)
                else:
                    Coloring(self, task).run()
            except _Canceled:
                self.say("canceled", id=task["id"])
            except _Stopped:
                self.say("stopped", id=task["id"])
            except Exception as error:
                self.say("failed", id=task["id"], error=f"{type(error).__name__}: {error}")
            finally:
                self._canceled.discard(task["id"])

    def check(self, id: str, target: Path | None = None) -> None:
        """Raises _Leave where the task is not to go on.

        target: of a film, whose piece in hand may be finished first.
        """
        if id in self._canceled:
            raise _Canceled
        ending = self._ending
        if ending is None:
            return
        pieces = _pieces(kept(target)) if target else 0
        if ending.pieces is None:
            ending.pieces = pieces
        if not target or pieces > ending.pieces or time.monotonic() > ending.deadline:
            raise _Stopped

    def _sheet(self, task: dict[str, Any]) -> None:
        """A contact sheet: the frames first, then column by column."""
        from vidcolor.arrays import colorize_array
        from vidcolor.batch import kind_of
        from vidcolor.preview import frames_of, still_of, usual_times
        from vidcolor.serve.pictures import write_webp

        source, folder, id = Path(task["source"]), Path(task["folder"]), task["id"]
        try:
            if kind_of(source) == "still":
                rows = still_of(source)
                times: list[float | None] = [None]
            else:
                times = [*(task["times"] or usual_times(source))]
                rows = frames_of(source, [time for time in times if time is not None])
            labels = ["" if times == [None] else row.label for row in rows]
            for number, row in enumerate(rows):
                write_webp(folder / f"{number}-0.webp", row.gray)
            self.say("rows", id=id, labels=labels, times=times)
            for column, (model, factor) in enumerate(task["columns"], 1):
                render = RenderSettings(render_factor=factor, precision="auto")
                colorizer = self.colorizer(model, render)
                for number, row in enumerate(rows):
                    self.check(id)
                    colored = colorize_array(row.gray, colorizer)
                    write_webp(folder / f"{number}-{column}.webp", colored)
                    self.say("cell", id=id, row=number, column=column - 1)
        except VidcolorError as error:
            self.say("failed", id=id, error=str(error))
            return
        self.say("done", id=id)


class Coloring:
    """One film or still, as `vidcolor colorize` would make it."""

    def __init__(self, worker: Worker, task: dict[str, Any]):
        self.worker = worker
        self.id: str = task["id"]
        self.options: dict[str, Any] = task["options"]
        self.folder = Path(task["folder"])
        self.job = Job(Path(task["source"]), Path(task["target"]), task["kind"])
        self._told = 0.0
        self._shown = 0.0
        self._number: int = task["preview"] or 0
        self._speed: deque[tuple[float, int]] = deque()
        self._aspect: float | None = None

    def run(self) -> None:
        """Color it, and say how that went."""
        outcome = self._try()
        if outcome.status == "failed" and "--fresh" in (outcome.error or ""):
            # Only this server could give other settings to the same job: after an upgrade.
            self.say("note", text=f"starting over: {outcome.error}")
            self.options = {**self.options, "fresh": True}
            outcome = self._try()
        if outcome.status == "failed":
            self.say("failed", error=outcome.error)
            return
        for warning in outcome.warnings:
            self.say("warning", text=warning)
        self.say("done", frames=outcome.frames, kept=outcome.kept)

    def say(self, event: str, **fields: Any) -> None:
        self.worker.say(event, id=self.id, **fields)

    def _try(self) -> Outcome:
        (outcome,) = run([self.job], self._color, overwrite=True, done_log=DoneLog({}))
        return outcome

    def _color(self, job: Job) -> Outcome:
        from vidcolor.film import colorize_film
        from vidcolor.still import colorize_image

        started = time.monotonic()
        self.say("stage", text="loading the model")
        colorizer = self._load(job.kind)
        self.worker.check(self.id)
        self.say("stage", text="coloring")
        if job.kind == "still":
            warnings = colorize_image(
                job.source, job.target, colorizer, edges=self.options["edges"]
            )
            self._show_still()
            return Outcome(job, "done", 1, seconds=time.monotonic() - started, warnings=warnings)
        report = colorize_film(
            job.source,
            job.target,
            colorizer,
            film_settings(self.options),
            on_frame=self._on_frame,
            on_note=lambda note: self.say("note", text=note),
            on_colors=self._on_colors,
        )
        return Outcome(job, "done", report.frames, report.kept, report.seconds, report.warnings)

    def _load(self, kind: str) -> "Colorizer":
        from vidcolor.inference.device import describe

        render = render_settings(self.options)
        if kind == "still":
            render = still_settings(render)
        model = self.options["model"]
        colorizer = self.worker.colorizer(model, render)
        precision = str(colorizer.dtype).removeprefix("torch.")
        text = (
            f"{model} on {describe(colorizer.device)}, {precision}, "
            f"render factor {colorizer.render_factor}"
        )
        self.say("note", text=text)
        return colorizer

    def _on_frame(self, done: int, total: int | None) -> None:
        self.worker.check(self.id, self.job.target)
        now = time.monotonic()
        self._speed.append((now, done))
        while now - self._speed[0][0] > WINDOW:
            self._speed.popleft()
        last = total is not None and done >= total
        if now - self._told < PROGRESS_EVERY and not last:
            return
        self._told = now
        if shutil.disk_usage(self.folder).free < self.worker.free_bytes:
            raise MediaError(f"the server's disk is full at frame {done}; free some and try again")
        before, frames = self._speed[0]
        fps = (done - frames) / (now - before) if now > before else None
        left = (total - done) / fps if total and fps else None
        self.say("progress", done=done, total=total, fps=fps, seconds_left=left)
        if last:
            self.say("stage", text="joining")

    def _on_colors(self, frame: "EncodedFrame") -> None:
        self.worker.check(self.id, self.job.target)
        if time.monotonic() - self._shown < SHOWN_EVERY:
            return
        from vidcolor.media.probe import probe
        from vidcolor.serve.pictures import show_frame

        if self._aspect is None:
            self._film = probe(self.job.source)
            self._aspect = float(self._film.width * self._film.sample_aspect) / self._film.height
        show_frame(self.folder, frame, self._film, self._aspect)
        self._note_shown()

    def _show_still(self) -> None:
        from vidcolor.serve.pictures import show_still

        show_still(self.folder, self.job.source, self.job.target)
        self._note_shown()

    def _note_shown(self) -> None:
        self._shown = time.monotonic()
        self._number += 1
        self.say("shown", number=self._number)


def _pieces(manifest: Manifest | None) -> int:
    return len(manifest.pieces) if manifest else 0


def main(end: Callable[[int], Any] = os._exit) -> None:
    """The process: settings in the first line of stdin, tasks in the others."""
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    # Whatever a library prints goes to the log, and never among the messages.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    settings = json.loads(sys.stdin.readline())
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = settings["still_pixels"] // 2
    # The worker of a server that was killed may still save what it has.
    with FileLock(Path(settings["data"]) / "worker.lock", timeout=settings["grace"] + 10):
        worker = Worker(out, settings["device"], settings["weights_dir"], settings["free_bytes"])
        worker.run(sys.stdin, settings["model"], settings["grace"])
    sys.stderr.flush()
    end(0)  # a thread that hangs in a library does not keep the process


if __name__ == "__main__":
    main()
