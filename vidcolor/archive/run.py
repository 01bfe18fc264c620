"""One call of `vidcolor archive`: finds the films, keeps workers busy, says how far it is."""

import logging
import os
import random
import socket
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from vidcolor.archive.cluster import ClusterSettings, RayPool
from vidcolor.archive.estimate import Estimate, choose, estimate, measure
from vidcolor.archive.films import Archive, find_films
from vidcolor.archive.journal import Journal
from vidcolor.archive.layout import RUNS, STATE, SourceFilm, film_folder, to_json
from vidcolor.archive.pool import OneWorker, Pool, drive
from vidcolor.archive.scheduler import FilmEnded, Scheduler, Totals
from vidcolor.archive.store import Store, check_creates_once, open_store
from vidcolor.archive.task import Failure, FilmDone
from vidcolor.archive.worker import JobSettings, Worker
from vidcolor.errors import VidcolorError

log = logging.getLogger(__name__)

TELL_EVERY = 15.0
"""Seconds between two records of how far a run is, which `vidcolor status` shows."""

PUBLISH_EVERY = 600.0
"""Seconds between two writings of done.jsonl and failed.jsonl."""


@dataclass(frozen=True)
class Shard:
    """One of several runs without Ray that begin with other films."""

    number: int
    """1 to `of`."""
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise VidcolorError(f"there is no shard {self.number} of {self.of}; count from 1")

    def has(self, film: SourceFilm) -> bool:
        """Whether this shard begins with that film. The same for every run, on every machine."""
        name = film.name.encode(errors="surrogatepass")
        return zlib.crc32(name) % self.of == self.number - 1


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    run: str
    host: str
    how: str
    """"ray" or "shard I/N"."""
    updated: float
    """Seconds since 1970."""
    elapsed: float
    """Seconds."""
    films: int
    """All films of the archive."""
    done: int
    """Of these, finished by whomever."""
    failed: int
    frames: int
    """That this run has colored."""
    rate: float
    """Of these, for each second since the run began."""
    workers: int
    working: int
    """Workers that have something to do."""
    left: float | None
    """Seconds, estimated from bytes; None before there is anything to estimate from."""
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a run has ended."""

    source: str
    target: str
    complete: bool
    """Whether it looked at every film and was not stopped."""
    films: int
    """In the archive."""
    done_before: int
    done: int
    """Finished while it ran, by this run or another."""
    made: int
    """Of these, published by this run."""
    failed: int
    failures: dict[str, int]
    """Films that have failed, by cause; "earlier" for those in quarantine."""
    stills: int
    hours_of_film: float
    """Of what this run has published."""
    frames: int
    """That it has colored."""
    pieces: int
    finished_twice: int
    """Pieces that another run had finished meanwhile."""
    begun_again: int
    """Pieces whose worker had died."""
    retries: dict[str, int]
    seconds: float
    """Wall time."""
    seconds_to_start: float
    """Of these, until the first worker was ready."""
    workers: int
    """At most at the same time."""
    frames_per_second: float
    frames_per_second_of_work: float
    """Of a worker, while it colored."""


class Run:
    """A run of either kind.

    on_progress: called about once a second. on_end: with each film that has ended. on_note: with
    one line. source, target: the stores; by default those of the job's addresses.
    """

    def __init__(
        self,
        job: JobSettings,
        how: ClusterSettings | Shard,
        *,
        on_progress: Callable[[Progress], object] = lambda progress: None,
        on_end: Callable[[FilmEnded], object] = lambda ended: None,
        on_note: Callable[[str], object] = log.warning,
        source: Store | None = None,
        target: Store | None = None,
    ):
        self.job = job if job.run else replace(job, run=_new_run())
        self.how = how
        self.source = source or open_store(job.source)
        self.target = target or open_store(job.target)
        self._on_progress, self._on_end, self._on_note = on_progress, on_end, on_note
        self._started = time.monotonic()
        self._told = self._published = self._started
        self._most_workers = 0
        self._first_worker: float | None = None
        self._settings = ""
        self._working: Callable[[], int] = lambda: 0
        self._workers: Callable[[], int] = lambda: 0
        self.totals = Totals()
        self.archive = Archive()
        self.journal = Journal(self.target)

    def find(self) -> Archive:
        """Look for films. Raises VidcolorError where there are none."""
        self.archive = find_films(self.source, self.target)
        for film, error in self.archive.refused:
            self.journal.note_failure(film, Failure("film", error))
        return self.archive

    def run(self) -> Report:
        """Do everything, and report on it. What stops it leaves everything that is finished."""
        self.find()
        self.target.sweep()
        check_creates_once(self.target, f"{STATE}/probe-{self.job.run}")
        complete = False
        try:
            if self.archive.films:
                if isinstance(self.how, Shard):
                    self._run_shard(self.how)
                else:
                    self._run_on_cluster(self.how)
            complete = True
        finally:
            self._tell(ended=True)
            self._publish(complete=complete)
        return self.report(complete=complete)

    def estimate(self, price_per_hour: float | None = None) -> Estimate:
        """What is left to do and what it takes; a few films are colored for seconds."""
        films, how = self.find().films, self.how
        samples = []
        if films and isinstance(how, Shard):
            worker = Worker(self.job, source=self.source, target=self.target)
            samples = measure(worker, choose(films))
        elif films and isinstance(how, ClusterSettings):
            pool = RayPool(self.job, how, on_note=self._on_note)
            try:
                samples = pool.call(measure, choose(films))
            finally:
                pool.close()
        return estimate(films, self.archive.done, samples, price_per_hour)

    def report(self, *, complete: bool) -> Report:
        totals, seconds = self.totals, time.monotonic() - self._started
        failures = dict(totals.failures)
        if self.archive.refused:
            failures["name"] = len(self.archive.refused)
        return Report(
            source=self.job.source,
            target=self.job.target,
            complete=complete,
            films=self._films,
            done_before=self.archive.done,
            done=totals.done,
            made=totals.made,
            failed=totals.failed + len(self.archive.refused),
            failures=failures,
            stills=self.archive.stills,
            hours_of_film=round(totals.footage / 3600, 4),
            frames=totals.frames,
            pieces=totals.pieces,
            finished_twice=totals.twice,
            begun_again=totals.begun_again,
            retries=dict(totals.retries),
            seconds=round(seconds, 3),
            seconds_to_start=round(self._first_worker or seconds, 3),
            workers=self._most_workers,
            frames_per_second=round(totals.frames / max(seconds, 1e-6), 3),
            frames_per_second_of_work=round(totals.frames / max(totals.working, 1e-6), 3),
        )

    @property
    def progress(self) -> Progress:
        totals, elapsed = self.totals, time.monotonic() - self._started
        left = None
        if totals.done_bytes:
            left = elapsed * max(0, totals.bytes - totals.done_bytes) / totals.done_bytes
        how = self.how
        return Progress(
            run=self.job.run,
            host=socket.gethostname(),
            how=f"shard {how.number}/{how.of}" if isinstance(how, Shard) else "ray",
            updated=time.time(),
            elapsed=elapsed,
            films=self._films,
            done=self.archive.done + totals.done,
            failed=totals.failed + len(self.archive.refused),
            frames=totals.frames,
            rate=totals.frames / max(elapsed, 1e-6),
            workers=self._workers(),
            working=self._working(),
            left=left,
        )

    @property
    def _films(self) -> int:
        archive = self.archive
        return archive.done + len(archive.films) + len(archive.refused)

    def _run_shard(self, shard: Shard) -> None:
        worker = Worker(self.job, source=self.source, target=self.target)
        self._settings = worker.settings
        self._workers = lambda: 1
        self._drive(self._of_shard(shard), OneWorker(worker.do, time.sleep))

    def _run_on_cluster(self, cluster: ClusterSettings) -> None:
        pool = RayPool(self.job, cluster, on_note=self._on_note)
        try:
            self._workers = lambda: pool.workers
            self._drive(iter(self.archive.films), pool, settings=lambda: pool.settings)
        finally:
            pool.close()

    def _drive(
        self,
        films: Iterator[SourceFilm],
        pool: Pool,
        settings: Callable[[], str | None] = lambda: None,
    ) -> None:
        waiting = self.archive.films
        scheduler = Scheduler(films, len(waiting), sum(film.size for film in waiting))
        self.totals = scheduler.totals
        self._working = lambda: scheduler.working

        def end(ended: FilmEnded) -> None:
            self._settings = settings() or self._settings
            self._note_end(ended)

        drive(scheduler, pool, on_end=end, on_round=self._look_up)

    def _of_shard(self, shard: Shard) -> Iterator[SourceFilm]:
        """This shard's own films; then those of the others, as far as they are not done by then.

        The others' come in an order of this shard's own, so that two shards that help a third one
        rarely ask for the same film.
        """
        films = self.archive.films
        yield from (film for film in films if shard.has(film))
        others = [film for film in films if not shard.has(film)]
        if others:
            results = {entry.name for entry in self.target.list()}
            done = [film for film in others if film.target in results]
            self.totals.done += len(done)
            self.totals.done_bytes += sum(film.size for film in done)
            others = [film for film in others if film.target not in results]
            random.Random(self.job.run).shuffle(others)
            yield from others

    def _note_end(self, ended: FilmEnded) -> None:
        outcome = ended.outcome
        folder = film_folder(ended.film, self._settings)
        if isinstance(outcome, FilmDone):
            self.journal.note_done(ended.film, folder)
        else:
            self.journal.note_failure(ended.film, outcome)
            if isinstance(outcome, Failure):
                self.journal.quarantine(ended.film, folder, outcome)
        self._on_end(ended)

    def _look_up(self) -> None:
        """Between two tasks: tell how far the run is."""
        self._most_workers = max(self._most_workers, self._workers())
        if self._first_worker is None and self._most_workers:
            self._first_worker = time.monotonic() - self._started
        self._on_progress(self.progress)
        now = time.monotonic()
        if now - self._told >= TELL_EVERY:
            self._tell()
        if now - self._published >= PUBLISH_EVERY:
            self._published = now
            self._publish(complete=False)

    def _publish(self, *, complete: bool) -> None:
        try:
            self.journal.publish(complete=complete)
        except VidcolorError as error:  # they follow from what is in the store, at the next time
            log.warning("%s", error)

    def _tell(self, *, ended: bool = False) -> None:
        self._told = time.monotonic()
        try:
            record = asdict(replace(self.progress, ended=ended))
            self.target.write(f"{RUNS}/{self.job.run}.json", to_json(record))
        except VidcolorError as error:
            log.warning("%s", error)


def _new_run() -> str:
    host = "".join(char for char in socket.gethostname() if char.isalnum())[:32]
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
