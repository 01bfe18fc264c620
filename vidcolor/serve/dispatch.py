"""Who works on what: jobs in order, one worker process, and what happens when that ends."""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcolor.resume.store import kept
from vidcolor.serve.events import Bell
from vidcolor.serve.jobs import MOST_NOTES, JobStore, LiveJob
from vidcolor.serve.settings import ServeSettings
from vidcolor.serve.uploads import UploadStore
from vidcolor.serve.views import view
from vidcolor.serve.words import without_paths

log = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0
"""Seconds before a worker that ended is started again, at most."""

CANCEL_WITHIN = 30.0
"""Seconds for a worker to leave a canceled job; then it is ended."""

LONGEST_MESSAGE = 2**20


class Dispatcher:
    """Gives jobs to the worker, and keeps their records by what it says.

    Each lane, films and quick ones, has one job in hand at most.
    """

    def __init__(self, settings: ServeSettings, jobs: JobStore, uploads: UploadStore):
        self.settings = settings
        self.jobs = jobs
        self.uploads = uploads
        self.ready: dict[str, str] | None = None
        """Model and device, once they are loaded."""
        self.trouble: str | None = None
        """Why there is no worker."""
        self.changed = Bell()
        """Rung at every change of any job."""
        self.changes: dict[str, int] = {}
        self.gone: deque[tuple[int, str]] = deque(maxlen=1000)
        self.crashes = 0
        self.frames = 0
        self._hands: dict[str, LiveJob] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._leaving: set[str] = set()
        self._blameless: set[str] = set()
        self._stopping = False

    def start(self) -> None:
        """Queue what the server before left, and keep a worker from now on."""
        for job in self.jobs:
            if job.unfinished and not job.upload:  # its client is gone
                self.jobs.remove(job)
            elif job.state == "running":
                self._take_up(job)
            elif not job.unfinished:
                job.feed.end()
        self._keeper = asyncio.create_task(self._keep())

    def _take_up(self, job: LiveJob) -> None:
        """Queue a job that the server before had in hand when it was killed."""
        if job.kind == "film" and (manifest := kept(job.path)):
            job.done = max(job.done, manifest.frames)
        most = 2 * self.settings.limits.tries
        if job.tries >= most and job.done <= job.reached:
            self._end(job, "failed", f"{job.name}: {most} servers ended while they colored this")
        else:
            self._requeue(job)

    async def stop(self) -> None:
        """Let the worker finish the piece in hand, for `grace` seconds at most, and go."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            self._send({"do": "stop"})
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.grace + 10):
                    await process.wait()
            _kill(process)
        if self._keeper is not None:
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._keeper, 10)

    @property
    def pid(self) -> int | None:
        """Of the worker."""
        return self._process.pid if self._process else None

    def submit(self, job: LiveJob) -> None:
        """A new job is there."""
        self.tell_state(job)
        self._feed_lanes()

    def cancel(self, job: LiveJob) -> None:
        """End a job that is not finished; what it has made is deleted."""
        in_hand = self._hands.get(job.lane) is job
        self._end(job, "canceled")
        if in_hand:
            self._leaving.add(job.id)
            self._send({"do": "cancel", "id": job.id})
            asyncio.get_running_loop().call_later(CANCEL_WITHIN, self._insist, job)
        else:
            self.jobs.empty(job)

    def forget(self, job: LiveJob) -> None:
        """A job was deleted."""
        self.changes.pop(job.id, None)
        job.feed.end()
        self.gone.append((self.jobs.counter.next(), job.id))
        self.changed.ring()

    def has(self, upload: str) -> bool:
        """Whether an upload is still there."""
        return self.uploads.find(upload) is not None

    def position(self, job: LiveJob) -> int | None:
        """Its place in the queue, from 1."""
        if job.state != "queued":
            return None
        return [other.id for other in self._waiting(job.lane)].index(job.id) + 1

    def tell_state(self, job: LiveJob, name: str = "state") -> None:
        """Tell listeners everything about the job."""
        job.feed.tell(name, view(job, self))
        self._changed(job)

    def _changed(self, job: LiveJob) -> None:
        self.changes[job.id] = self.jobs.counter.next()
        self.changed.ring()

    def _waiting(self, lane: str) -> list[LiveJob]:
        return [job for job in self.jobs if job.lane == lane and job.state == "queued"]

    def _feed_lanes(self) -> None:
        if not self.ready or self._stopping:
            return
        for lane in ("film", "quick"):
            waiting = self._waiting(lane)
            if lane not in self._hands and waiting:
                self._begin(waiting[0])

    def _begin(self, job: LiveJob) -> None:
        self._hands[job.lane] = job
        job.state = "running"
        job.started = job.started or time.time()
        job.begun = time.monotonic()
        job.tries = job.tries + 1 if job.done <= job.reached else 1
        job.reached = job.done
        self.jobs.save(job)
        self._send(job.message())
        self.tell_state(job)

    def _send(self, message: dict[str, Any]) -> None:
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            with suppress(OSError):
                self._process.stdin.write((json.dumps(message) + "\n").encode())

    async def _keep(self) -> None:
        """Start the worker, and start it again whenever it ends."""
        pause = 0.5
        while not self._stopping:
            began = time.monotonic()
            try:
                await self._run_worker()
            except Exception as error:
                log.exception("the worker cannot be run")
                self.trouble = str(error)
            if self._stopping:
                break
            self.crashes += 1
            pause = 0.5 if time.monotonic() - began > 60 else min(2 * pause, LONGEST_PAUSE)
            log.warning("the worker ended; it is started again in %.1f s", pause)
            await asyncio.sleep(pause)

    async def _run_worker(self) -> None:
        settings = self.settings
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vidcolor.serve.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            start_new_session=True,  # Ctrl-C reaches the server alone, which then ends the worker
            limit=LONGEST_MESSAGE,
        )
        self._process = process
        self._send(
            {
                "data": str(self.jobs.place.path),
                "device": settings.device,
                "weights_dir": None if settings.weights_dir is None else str(settings.weights_dir),
                "model": settings.model,
                "grace": settings.grace,
                "still_pixels": settings.look.still_pixels,
                "free_bytes": settings.limits.free_bytes,
            }
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self._hear(json.loads(line))
        finally:
            _kill(process)
            status = await process.wait()
            self.ready = None
            self.trouble = self.trouble or f"the worker process {_reason(status)}"
            self._worker_ended(_reason(status))

    def _hear(self, said: dict[str, Any]) -> None:
        """One message of the worker."""
        event = said.pop("event")
        if event == "unready":
            log.error("the model cannot be used: %s", said["error"])
            self.trouble = said["error"]
            return
        if event == "ready":
            self.ready, self.trouble = said, None
            self._feed_lanes()
            return
        id = said.pop("id")
        # One that was deleted is still in the worker's hand until it says otherwise.
        in_hand = (job for job in self._hands.values() if job.id == id)
        job = self.jobs.find(id) or next(in_hand, None)
        if job is None:
            return
        if event in ("done", "failed", "canceled", "stopped"):
            self._leave(job, event, said)
        elif job.unfinished:
            getattr(self, f"_on_{event}")(job, **said)

    def _on_begun(self, job: LiveJob) -> None:
        pass

    def _on_stage(self, job: LiveJob, text: str) -> None:
        job.stage = text
        self._tell_progress(job)

    def _on_progress(
        self,
        job: LiveJob,
        done: int,
        total: int | None,
        fps: float | None,
        seconds_left: float | None,
    ) -> None:
        self.frames += max(0, done - job.done)
        job.done, job.total, job.fps, job.seconds_left = done, total, fps, seconds_left
        self._tell_progress(job)

    def _on_shown(self, job: LiveJob, number: int) -> None:
        job.preview = number
        self._tell_progress(job)

    def _on_note(self, job: LiveJob, text: str) -> None:
        self._add(job, job.notes, "note", text)

    def _on_warning(self, job: LiveJob, text: str) -> None:
        self._add(job, job.warnings, "warning", text)

    def _add(self, job: LiveJob, texts: list[str], name: str, text: str) -> None:
        text = self._plain(job, text)
        if text not in texts and len(texts) < MOST_NOTES:
            texts.append(text)
            self.jobs.save(job)
            job.feed.tell(name, {"text": text})
            self._changed(job)

    def _on_rows(self, job: LiveJob, labels: list[str], times: list[float | None]) -> None:
        job.rows = [
            {"label": label, "time": time} for label, time in zip(labels, times, strict=True)
        ]
        self.jobs.save(job)
        self.tell_state(job)

    def _on_cell(self, job: LiveJob, row: int, column: int) -> None:
        job.cells.append([row, column])
        self.tell_state(job)

    def _tell_progress(self, job: LiveJob) -> None:
        job.feed.progress(
            {
                "done": job.done,
                "total": job.total,
                "fps": job.fps,
                "seconds_left": job.seconds_left,
                "seconds": round(job.seconds, 1),
                "stage": job.stage,
                "preview": job.preview,
            }
        )
        self._changed(job)

    def _leave(self, job: LiveJob, event: str, said: dict[str, Any]) -> None:
        """The worker has the job no longer in hand."""
        if self._hands.get(job.lane) is job:
            del self._hands[job.lane]
        self._leaving.discard(job.id)
        if not job.unfinished:  # canceled meanwhile
            self.jobs.empty(job)
        elif event == "stopped":
            job.tries = max(0, job.tries - 1)
            self._requeue(job)
        elif event == "done":
            if job.kind != "sheet":
                job.done = job.total = said["frames"]
                job.kept = max(job.kept, said["kept"])
            self._end(job, "done")
        elif event == "failed":
            self._end(job, "failed", self._plain(job, said["error"]))
        self._feed_lanes()

    def _worker_ended(self, reason: str) -> None:
        """The worker is gone; what it had in hand is tried again, or has failed."""
        for lane, job in list(self._hands.items()):
            del self._hands[lane]
            if not job.unfinished:
                self.jobs.empty(job)
            elif self._stopping or lane in self._blameless:
                job.tries = max(0, job.tries - 1)
                self._requeue(job)
            elif job.tries >= self.settings.limits.tries:
                self._end(
                    job,
                    "failed",
                    f"{job.name}: the worker process {reason} {job.tries} times while it colored "
                    "this; try smaller settings, or look into the server's log",
                )
            else:
                job.notes.append(f"the worker process {reason}; trying again")
                self._requeue(job)
        self._blameless.clear()
        self._leaving.clear()

    def _requeue(self, job: LiveJob) -> None:
        if job.kind != "sheet" and job.path.is_file():  # published, and killed before saying so
            self._end(job, "done")
            return
        job.state = "queued"
        job.stage, job.fps, job.seconds_left = None, None, None
        job.worked, job.begun = job.seconds, None
        job.cells = []
        self.jobs.save(job)
        self.tell_state(job)

    def _end(self, job: LiveJob, state: Any, error: str | None = None) -> None:
        job.state, job.error, job.ended = state, error, time.time()
        job.worked, job.begun = job.seconds, None
        job.stage, job.fps, job.seconds_left = None, None, None
        if state == "failed":  # its pieces, which no other job goes on with, would fill the disk
            job.preview = None
            self.jobs.empty(job)
        self.jobs.save(job)
        if error:
            log.warning("job %s failed: %s", job.id, error)
        self.tell_state(job, "end")
        job.feed.end()

    def _insist(self, job: LiveJob) -> None:
        """A canceled job that is still in hand: end the worker, and blame nobody else."""
        if job.id in self._leaving and self._process is not None:
            self._blameless |= {lane for lane, other in self._hands.items() if other is not job}
            _kill(self._process)

    def _plain(self, job: LiveJob, text: str) -> str:
        names = {Path(job.source): job.name, job.path: job.result_name}
        text = text.replace("--log FILE records", "the server's log records")
        return without_paths(text, names, self.jobs.place.path)


def _reason(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed ({name})"


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the worker with everything it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
