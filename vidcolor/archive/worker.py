"""One worker: fetches a film, colors a piece of it, puts that into the store, joins pieces."""

import hashlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from vidcolor import __version__
from vidcolor.archive.claims import Claimed, Claims, TooManyDeathsError
from vidcolor.archive.layout import (
    FilmFolder,
    FilmPlan,
    PieceRecord,
    file_digest,
    film_folder,
    read_json,
    read_plan,
    read_record,
    suffix_of,
    to_json,
    write_plan,
)
from vidcolor.archive.retrying import in_words
from vidcolor.archive.scratch import ChangedSourceError, Scratch
from vidcolor.archive.store import Store, open_store
from vidcolor.archive.task import (
    Busy,
    Failure,
    FilmDone,
    Missing,
    Outcome,
    PieceDone,
    Planned,
    Quarantined,
    Task,
)
from vidcolor.errors import DeviceError, StorageError, VidcolorError
from vidcolor.film import colorize_film
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.device import choose_precision, precision_name
from vidcolor.inference.mark import color_mark
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.join import join
from vidcolor.media.probe import Film, probe
from vidcolor.media.source_color import IN_COLOR, film_color
from vidcolor.media.target import check_target
from vidcolor.media.write import Piece
from vidcolor.pieces import color_piece
from vidcolor.pipeline import Work
from vidcolor.resume.plan import plan_film
from vidcolor.settings import FilmSettings
from vidcolor.shots import scan_film
from vidcolor.weights.catalog import MODELS

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """Everything that a worker, on whichever machine, has to know of a run."""

    source: str
    """Address of the films."""
    target: str
    """Address of the results."""
    run: str = ""
    """Text that no other run has; `Run` makes one."""
    model: str = "lite"
    render: RenderSettings = field(default_factory=RenderSettings)
    film: FilmSettings
    """Its pieces are as long as `film.pieces` says, but end at cuts."""
    device: str = "auto"
    weights_dir: str | None = None
    scratch: str | None = None
    """A folder on each machine's own disk."""
    claim_seconds: float = 60.0
    retry_failed: bool = False
    """Try films again that failed in an earlier run."""


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says about itself."""

    host: str
    process: int
    device: str
    settings: str
    """Digest of everything that its results depend on beside the films."""
    described: str
    """The same for people."""


class Worker:
    """Does one task after the other. Every task may be done any number of times, by anyone.

    load: gives the colorizer, when it is needed for the first time.
    settings: what `info.settings` of the other workers is, for one that only joins pieces and
    needs no model.
    source, target: the stores; by default those of the job's addresses.
    """

    def __init__(
        self,
        job: JobSettings,
        load: Callable[[], Colorizer] | None = None,
        *,
        settings: str | None = None,
        source: Store | None = None,
        target: Store | None = None,
    ):
        self.job = job
        self._given_settings = settings
        self._load = load or self._load_model
        self.source = source or open_store(job.source)
        self.target = target or open_store(job.target)
        self.scratch = Scratch(Path(job.scratch) if job.scratch else None)
        self.claims = Claims(
            self.target, job.run, f"{socket.gethostname()}:{os.getpid()}", job.claim_seconds
        )

    @cached_property
    def colorizer(self) -> Colorizer:
        return self._load()

    @cached_property
    def info(self) -> WorkerInfo:
        """Loads the model."""
        settings = self._settings()
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]
        described = ", ".join(
            f"{name} {settings[name]}" for name in ("device", "precision", "ffmpeg", "vidcolor")
        )
        device = str(self.colorizer.device)
        return WorkerInfo(socket.gethostname(), os.getpid(), device, digest, described)

    @property
    def here(self) -> WorkerInfo:
        """The same of a worker without a model."""
        return WorkerInfo(socket.gethostname(), os.getpid(), "none", self.settings, "")

    @property
    def settings(self) -> str:
        """Digest of everything that results depend on beside the films."""
        return self._given_settings or self.info.settings

    def do(self, task: Task) -> Outcome:
        """Do a task. Nothing is raised but what ends the process."""
        folder = film_folder(task.film, self.settings)
        try:
            if self.job.retry_failed and task.unit == "film":
                self._forget_failure(folder)
            if known := self._known(task, folder):
                return known
            with self.claims.taken(folder, _unit(task), task.film.name) as generation:
                # Whoever had the claim may have finished just before it was free.
                if known := self._known(task, folder):
                    return known
                return getattr(self, f"_{task.unit}")(task, folder, generation > 1)
        except Claimed as claimed:
            return Busy(claimed.seconds)
        except TooManyDeathsError as error:
            return Failure("lost", str(error))
        except Exception as error:
            return self._failed(task, folder, error)

    def _forget_failure(self, folder: FilmFolder) -> None:
        """Let a film that is in quarantine be tried again, however many workers it has killed."""
        if self.target.stat(folder.failed):
            names = [entry.name for entry in self.target.list(folder.path)]
            claims = [name for name in names if name.startswith(f"{folder.path}/claim-")]
            self.target.remove([folder.failed, *claims])

    def _known(self, task: Task, folder: FilmFolder) -> Outcome | None:
        """What is known without doing anything."""
        film = task.film
        if self.target.stat(film.target):
            done = read_json(self.target, folder.done) or {}
            frames, footage = done.get("frames"), done.get("footage")
            return FilmDone(
                made=False,
                frames=frames if type(frames) is int else 0,
                footage=footage if isinstance(footage, float) else 0.0,
            )
        failed = read_json(self.target, folder.failed)
        if failed and not self.job.retry_failed:
            return Quarantined(str(failed.get("error")))
        if task.unit == "piece" and read_record(self.target, folder, task.number):
            return PieceDone()
        return None

    def _film(self, task: Task, folder: FilmFolder, again: bool) -> Outcome:
        """Color a film that stays in one piece, or divide it."""
        if found := read_plan(self.target, folder):
            return self._planned(found, folder)
        with self.scratch.source(self.source, task.film, folder) as source:
            film = probe(source, deinterlace=self.job.film.deinterlace)
            seconds = self.job.film.pieces.seconds
            plan = None
            if film.duration is None or film.duration > seconds:
                plan = plan_film(film, scan_film(film), seconds)
            if plan and len(plan.pieces) > 1:
                made = FilmPlan(
                    name=task.film.name,
                    target=task.film.target,
                    plan=replace(plan, scan=None),
                    comment=self._comment,
                    warnings=(*plan.warnings, *_in_color(film)),
                )
                return self._planned(write_plan(self.target, folder, made), folder)
            return self._whole(task, folder, source, film, replace(self.job.film, plan=plan), again)

    def _planned(self, plan: FilmPlan, folder: FilmFolder) -> Planned:
        names = {entry.name for entry in self.target.list(folder.path)}
        numbers = range(len(plan.plan.pieces))
        # A listing may lag: what it misses is noticed when the piece's turn comes.
        done = frozenset(number for number in numbers if folder.record(number) in names)
        return Planned(len(numbers), done)

    def _whole(
        self,
        task: Task,
        folder: FilmFolder,
        source: Path,
        film: Film,
        settings: FilmSettings,
        again: bool,
    ) -> FilmDone:
        started = time.monotonic()
        with self.scratch.work_folder() as work:
            result = work / f"result{suffix_of(task.film.target)}"
            report = colorize_film(source, result, self.colorizer, settings)
            seconds = time.monotonic() - started
            outcome = FilmDone(
                made=True,
                frames=report.frames,
                footage=film.duration or 0.0,
                colored=report.frames,
                seconds=seconds,
                warnings=report.warnings,
                again=again,
            )
            return self._publish(task, folder, result, outcome)

    def _piece(self, task: Task, folder: FilmFolder, again: bool) -> Outcome:
        """Color one piece and put it into the store."""
        found = read_plan(self.target, folder)
        if found is None or task.number >= len(found.plan.pieces):
            raise StorageError(f"the plan of {task.film.name} is gone; give the same command again")
        started = time.monotonic()
        with (
            self.scratch.source(self.source, task.film, folder) as source,
            self.scratch.work_folder() as scratch,
        ):
            work = self._work(source, scratch / f"result{suffix_of(task.film.target)}")
            path = scratch / "piece"
            planned = found.plan.pieces[task.number]
            piece = color_piece(work, planned, path, seekable=found.plan.seekable)
            seconds = time.monotonic() - started
            twice = not self._put_piece(folder, task.number, piece, seconds)
        if self.target.stat(task.film.target):  # this worker was thought to be dead
            self._clean(folder, [folder.record(task.number)])
        return PieceDone(frames=piece.frames, seconds=seconds, twice=twice, again=again)

    def _put_piece(self, folder: FilmFolder, number: int, piece: Piece, seconds: float) -> bool:
        """Put a piece into the store; False if somebody else was first."""
        digest = file_digest(piece.path)
        record = PieceRecord(
            data=folder.piece(number, digest[:16]),
            sha256=digest,
            size=piece.path.stat().st_size,
            first_pts=piece.first_pts,
            frames=piece.frames,
            seconds=round(seconds, 3),
        )
        self.target.create(record.data, piece.path)
        if self.target.create(folder.record(number), to_json(asdict(record))):
            return True
        first = read_record(self.target, folder, number)
        if first is None:  # something that is no record has its name
            self.target.write(folder.record(number), to_json(asdict(record)))
            return True
        if first.data != record.data:
            self.target.remove([record.data])
        return first == record  # the answer to our own request was lost

    def _join(self, task: Task, folder: FilmFolder, again: bool) -> Outcome:
        """Put all pieces together, and the result into the store."""
        found = read_plan(self.target, folder)
        if found is None:
            raise StorageError(f"the plan of {task.film.name} is gone; give the same command again")
        numbers = range(len(found.plan.pieces))
        records = [read_record(self.target, folder, number) for number in numbers]
        if missing := frozenset(
            n for n, record in zip(numbers, records, strict=True) if not record
        ):
            return Missing(missing)
        with (
            self.scratch.source(self.source, task.film, folder) as source,
            self.scratch.work_folder() as scratch,
        ):
            film = probe(source, deinterlace=self.job.film.deinterlace)
            pieces = []
            for number, record in zip(numbers, records, strict=True):
                assert record is not None
                path = scratch / f"piece-{number:05d}"
                if not self._fetch_piece(record, path):
                    self.target.remove([folder.record(number), record.data])
                    return Missing(frozenset([number]))
                pieces.append(Piece(path=path, first_pts=record.first_pts, frames=record.frames))
            result = scratch / f"result{suffix_of(task.film.target)}"
            warnings = join(film, pieces, result, comment=found.comment)
            outcome = FilmDone(
                made=True,
                frames=sum(piece.frames for piece in pieces),
                footage=film.duration or 0.0,
                warnings=tuple(dict.fromkeys((*found.warnings, *warnings))),
            )
            names = [record.data for record in records if record]
            names += [folder.plan, *(folder.record(number) for number in numbers)]
            return self._publish(task, folder, result, outcome, names)

    def _fetch_piece(self, record: PieceRecord, path: Path) -> bool:
        """Fetch a finished piece; False where it is gone or damaged."""
        try:
            self.target.fetch(record.data, path)
        except FileNotFoundError:
            return False
        return path.stat().st_size == record.size and file_digest(path) == record.sha256

    def _publish(
        self,
        task: Task,
        folder: FilmFolder,
        result: Path,
        outcome: FilmDone,
        names: Sequence[str] = (),
    ) -> FilmDone:
        """Give the film its name, unless somebody else was first; then remove what it needed.

        names: objects of the film, which a listing that lags may miss.
        """
        record = {
            "film": task.film.name,
            "result": task.film.target,
            "folder": folder.path,
            "frames": outcome.frames,
            "footage": outcome.footage,
            "bytes": result.stat().st_size,
            "warnings": outcome.warnings,
        }
        self.target.write(folder.done, to_json(record))  # counts only where there is a result
        first = self.target.create(task.film.target, result)
        self._clean(folder, names)
        if first:
            return outcome
        return replace(outcome, made=False, twice=outcome.colored > 0)

    def _clean(self, folder: FilmFolder, names: Sequence[str] = ()) -> None:
        listed = (entry.name for entry in self.target.list(folder.path))
        self.target.remove(sorted({*names, *listed} - {folder.done, folder.failed}))

    def _failed(self, task: Task, folder: FilmFolder, error: Exception) -> Failure:
        log.error("%s of %s failed", task.unit, task.film.name, exc_info=True)
        text = self._in_one_line(error, task, folder)
        if isinstance(error, ChangedSourceError):
            return Failure("film", text)
        if isinstance(error, StorageError) or _disk_is_full(error):
            return Failure("storage", text)
        if isinstance(error, (DeviceError, MemoryError)):
            self._use_less_memory()
            return Failure("memory", text)
        return Failure("film", text)

    def _in_one_line(self, error: Exception, task: Task, folder: FilmFolder) -> str:
        """With the film's name, and not that of the file that was fetched."""
        text = str(error) if isinstance(error, VidcolorError) else in_words(error)
        fetched = self.scratch.film_path(task.film, folder)
        text = text.replace(str(fetched), task.film.name).replace(f"{self.scratch.folder}/", "")
        return " ".join(text.split())[:1000]

    def _use_less_memory(self) -> None:
        """Color fewer frames together from now on."""
        if "colorizer" in vars(self):
            self.colorizer.batch_size = max(1, self.colorizer.batch_size // 2)

    def _work(self, source: Path, result: Path) -> Work:
        settings = self.job.film
        film = probe(source, deinterlace=settings.deinterlace)
        return Work(
            film=film,
            colorizer=self.colorizer,
            encode=check_target(film, result, settings.encode),
            smooth=settings.smooth,
            edges=settings.edges,
            start=None,
            end=None,
        )

    @cached_property
    def _comment(self) -> str:
        settings = self.job.film
        return color_mark(self.colorizer, settings.edges, smooth=settings.smooth.strength)

    def _settings(self) -> dict:
        """Everything beside the film that a result depends on."""
        colorizer, settings = self.colorizer, self.job.film
        precision = choose_precision(self.job.render.precision, colorizer.device)
        return {
            "vidcolor": __version__,
            "ffmpeg": "{}.{}".format(*find_ffmpeg().version),
            "model": f"{colorizer.name} {colorizer.fingerprint[:16]}",
            "device": colorizer.device.type,
            **asdict(replace(self.job.render, render_factor=colorizer.render_factor)),
            "precision": precision_name(precision),
            "encode": asdict(settings.encode),
            "smooth": settings.smooth.strength,
            "edges": settings.edges,
            "deinterlace": settings.deinterlace,
            "piece_seconds": settings.pieces.seconds,
        }

    def _load_model(self) -> Colorizer:
        job = self.job
        name = job.model
        colorizer = Colorizer.load(name, job.render, device=job.device, weights_dir=job.weights_dir)
        if name not in MODELS:
            colorizer.model = Path(name).name
        return colorizer


def _unit(task: Task) -> str:
    return f"{task.number:05d}" if task.unit == "piece" else task.unit


def _in_color(film: Film) -> tuple[str, ...]:
    return (IN_COLOR,) if film_color(film).kind == "color" else ()


def _disk_is_full(error: Exception) -> bool:
    return "no space left" in str(error).lower()
