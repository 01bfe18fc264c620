"""Jobs and contact sheets on disk: each in a folder of its own, with its record."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from vidcolor.serve.events import Counter, Feed
from vidcolor.serve.place import Moment, Place, new_id, passed_over, read_records
from vidcolor.serve.settings import DAY, Limits
from vidcolor.serve.uploads import Refusal

RECORD = "job.json"
MOST_NOTES = 100

State = Literal["queued", "running", "done", "failed", "canceled"]
ENDED = ("done", "failed", "canceled")


@dataclass(kw_only=True)
class Job:
    """A film, a still or a contact sheet to color."""

    id: str
    upload: str
    kind: Literal["film", "still", "sheet"]
    name: str
    """The client's name of the source, only to be shown."""
    result_name: str = ""
    source: str = ""
    """Path of the upload."""
    suffix: Annotated[str, Field(pattern=r"^(\.[a-z0-9]{1,5})?$")] = ""
    """Of the result."""
    given: dict[str, Any] = field(default_factory=dict)
    """Options as the client gave them."""
    options: dict[str, Any] = field(default_factory=dict)
    """All options, as the command line would have them."""
    state: State = "queued"
    created: Moment = field(default_factory=time.time)
    started: Moment | None = None
    ended: Moment | None = None
    done: int = 0
    total: int | None = None
    kept: int = 0
    worked: float = 0.0
    """Seconds of runs before this one."""
    preview: int | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    tries: int = 0
    """Runs that ended the worker without coming any further."""
    reached: int = 0
    """Frames that were done when the last run began."""
    key: str | None = None
    """Idempotency key, and a digest of the request that it came with."""
    request: str | None = None
    columns: list[list[Any]] = field(default_factory=list)
    """Of a sheet: (model, render factor)."""
    times: list[float] | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of a sheet, as they are found: label, time."""
    cells: list[list[int]] = field(default_factory=list)
    """Of a sheet: (row, column) of what is colored."""


_RECORD = TypeAdapter(Job)


@dataclass(kw_only=True)
class LiveJob(Job):
    """A job with what is known of it while the server runs."""

    folder: Path
    feed: Feed
    fps: float | None = None
    seconds_left: float | None = None
    stage: str | None = None
    begun: float | None = None
    """Monotonic time at which this run began."""

    @property
    def path(self) -> Path:
        """The result."""
        return self.folder / f"result{self.suffix}"

    @property
    def lane(self) -> str:
        return "film" if self.kind == "film" else "quick"

    @property
    def unfinished(self) -> bool:
        return self.state not in ENDED

    @property
    def seconds(self) -> float:
        """Worked so far."""
        return self.worked + (time.monotonic() - self.begun if self.begun else 0.0)

    def record(self) -> dict[str, Any]:
        """What is kept of it."""
        return {item.name: getattr(self, item.name) for item in fields(Job)}

    def message(self) -> dict[str, Any]:
        """The task as the worker gets it."""
        common = {"id": self.id, "lane": self.lane, "source": self.source}
        if self.kind == "sheet":
            own = {"do": "sheet", "columns": self.columns, "times": self.times}
        else:
            own = {
                "do": "color",
                "kind": self.kind,
                "target": str(self.path),
                "options": self.options,
                "preview": self.preview,
            }
        return {**common, **own, "folder": str(self.folder)}


class JobStore:
    """All jobs of a server."""

    def __init__(self, place: Place, limits: Limits):
        self.place = place
        self.limits = limits
        self.counter = Counter()
        self._jobs: dict[str, LiveJob] = {}
        for folder, record in read_records(place.jobs, RECORD):
            try:
                job = _RECORD.validate_python({**record, "id": folder.name})
            except ValidationError as error:
                passed_over(folder, error)
            else:
                self._jobs[job.id] = LiveJob(**vars(job), folder=folder, feed=Feed(self.counter))
        self._jobs = dict(sorted(self._jobs.items(), key=lambda item: item[1].created))

    def __iter__(self) -> Iterator[LiveJob]:
        return iter(list(self._jobs.values()))

    def get(self, id: str, *, sheet: bool = False) -> LiveJob:
        """Raises Refusal (404) for one that is not there."""
        job = self._jobs.get(id)
        if job is None or (job.kind == "sheet") is not sheet:
            what = "contact sheet" if sheet else "job"
            raise Refusal(404, f"there is no such {what}; it may have expired")
        return job

    def find(self, id: str) -> LiveJob | None:
        """The job, or None."""
        return self._jobs.get(id)

    def with_key(self, key: str) -> LiveJob | None:
        """The job that was made with this idempotency key."""
        return next((job for job in self if job.key == key), None)

    def add(self, job: Job) -> LiveJob:
        """Take it in. Raises Refusal (429) where the queue is full."""
        if sum(other.unfinished for other in self) >= self.limits.queue:
            raise Refusal(
                429,
                f"{self.limits.queue} jobs wait already; try again later",
                headers={"Retry-After": "60"},
            )
        folder = self.place.jobs / job.id
        folder.mkdir(0o700)
        live = LiveJob(**asdict(job), folder=folder, feed=Feed(self.counter))
        self.save(live)
        self._jobs[job.id] = live
        return live

    def save(self, job: LiveJob) -> None:
        """Write its record."""
        self.place.disk.write(job.folder / RECORD, job.record())

    def empty(self, job: LiveJob) -> None:
        """Delete what it has made, but for its record."""
        self.place.disk.remove(job.folder, but=RECORD)

    def remove(self, job: LiveJob) -> None:
        """Delete it with its result."""
        self._jobs.pop(job.id, None)
        self.place.disk.remove(job.folder)

    def uses(self, upload: str) -> bool:
        """Whether a job that is not finished needs this upload."""
        return any(job.upload == upload and job.unfinished for job in self)

    def expires(self, job: LiveJob) -> float | None:
        """Unix time from which on a finished job may be deleted."""
        keep = min(self.limits.keep, DAY) if job.kind == "sheet" else self.limits.keep
        return None if job.unfinished else (job.ended or job.created) + keep


def stamp(time: float | None) -> str | None:
    """Unix time as ISO 8601 in UTC."""
    if time is None:
        return None
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


__all__ = ["ENDED", "Job", "JobStore", "LiveJob", "new_id", "stamp"]
