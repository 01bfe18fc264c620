"""Workers as actors of a Ray cluster. The only module that knows Ray."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vidcolor.archive.pool import Answer, News, WorkerGone, WorkerUp
from vidcolor.archive.retrying import in_words
from vidcolor.archive.task import Failure, Outcome, Task
from vidcolor.archive.worker import JobSettings, Worker, WorkerInfo
from vidcolor.errors import VidcolorError
from vidcolor.weights.catalog import MODELS

log = logging.getLogger(__name__)

RESIZE_EVERY = 2.0
"""Seconds after which the cluster is looked at again."""

LONGEST_PAUSE = 60.0
"""Seconds until a worker is replaced, where one after the other dies before it has begun."""

MOST_FAILED_STARTS = 3
"""Workers that say why they cannot start, after which the run ends, if none ever could."""

COLORS_FOR_JOIN = 4
"""Workers with a GPU for one that joins pieces, which needs none."""


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """What is taken of a cluster."""

    address: str = "auto"
    """Of Ray's head; "local": one of this machine alone; "auto": the one that this machine belongs
    to, or else a local one."""
    gpu_share: float | None = None
    """Of a GPU, for each worker; None: a quarter for lite, a whole one for larger models."""
    cpus: int = 2
    """For each worker on a cluster without GPUs."""
    workers: int | None = None
    """How many; None: what the cluster has room for, also when it grows."""


class RayWorker:
    """The actor."""

    def __init__(self, job: JobSettings, model: bytes | None, settings: str | None) -> None:
        self._job = job
        self._model = model
        self._settings = settings
        self._worker: Worker | None = None

    def start(self) -> WorkerInfo | Failure:
        """Load everything. A worker that only joins has nothing to load."""
        try:
            worker = Worker(self._job, settings=self._settings)
            if self._model is not None:
                path = worker.scratch.model(Path(self._job.model).name, self._model)
                worker.job = replace(self._job, model=str(path))
            self._worker = worker
            return worker.here if self._settings else worker.info
        except Exception as error:
            text = str(error) if isinstance(error, VidcolorError) else in_words(error)
            return Failure("film", text)

    def do(self, task: Task) -> Outcome:
        assert self._worker is not None
        return self._worker.do(task)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """function(worker, ...), for what is no task."""
        return function(self._worker, *arguments)


@dataclass
class _Actor:
    handle: Any
    colors: bool
    starting: Any
    """The reference of what `start` returns, until that is known."""
    task: Any = None
    """That of the present task's outcome."""
    info: WorkerInfo | None = None
    refused: bool = False
    """Whether its results would differ from the others'."""


@dataclass
class RayPool:
    """One actor for each GPU, or share of one, of the cluster; CPU actors where it has none.

    An actor that dies is replaced as long as the cluster has room for it.
    on_note: called with one line when a machine cannot be used.
    Raises VidcolorError where Ray is not installed or the cluster cannot be reached.
    """

    job: JobSettings
    cluster: ClusterSettings
    on_note: Callable[[str], object] = log.warning
    settings: str | None = None
    """The digest that all workers agree on."""
    place_of_settings: str = ""
    _actors: dict[str, _Actor] = field(default_factory=dict)
    _count: int = 0
    _failed_starts: int = 0
    _resized: float = -RESIZE_EVERY
    _not_before: float = 0.0

    def __post_init__(self) -> None:
        self._ray, self._owns = _connected(self.cluster.address)
        self._actor_class = self._ray.remote(max_restarts=0, max_task_retries=0)(RayWorker)
        model = None
        if self.job.model not in MODELS:
            # Ray brings it to each machine once.
            model = self._ray.put(Path(self.job.model).read_bytes())
        self._model = model

    @property
    def workers(self) -> int:
        """How many are ready."""
        return sum(actor.info is not None for actor in self._actors.values())

    @property
    def infos(self) -> list[WorkerInfo]:
        """Of these."""
        return [actor.info for actor in self._actors.values() if actor.info]

    def submit(self, name: str, task: Task) -> None:
        actor = self._actors[name]
        actor.task = actor.handle.do.remote(task)

    def poll(self, seconds: float) -> Iterator[News]:
        if time.monotonic() - self._resized >= RESIZE_EVERY:
            self._resize()
        waited = {
            reference: (name, actor)
            for name, actor in self._actors.items()
            for reference in (actor.starting, actor.task)
            if reference is not None
        }
        if not waited:
            time.sleep(seconds)
            return
        if not self._ray.wait(list(waited), num_returns=1, timeout=seconds)[0]:
            return
        for reference in self._ray.wait(list(waited), num_returns=len(waited), timeout=0)[0]:
            yield from self._news(*waited[reference], reference)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """function(worker, ...) on some worker; waits until there is one."""
        while not self.workers:
            for _ in self.poll(1.0):
                pass
        actor = next(actor for actor in self._actors.values() if actor.info and actor.colors)
        return self._ray.get(actor.handle.call.remote(function, *arguments))

    def close(self) -> None:
        for actor in self._actors.values():
            with suppress(Exception):
                self._ray.kill(actor.handle)
        self._actors.clear()
        if self._owns:
            self._ray.shutdown()

    def _news(self, name: str, actor: _Actor, reference: Any) -> Iterator[News]:
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            del self._actors[name]
            with suppress(Exception):  # it may only be out of reach, and would hold its GPU
                self._ray.kill(actor.handle)
            log.info("%s is gone: %s", name, error)
            self.on_note(f"{name} died ({type(error).__name__}); another takes its place")
            if actor.info is None:
                self._pause()
            else:
                yield WorkerGone(name, f"the worker died ({type(error).__name__})")
            return
        if reference is not actor.starting:
            actor.task = None
            yield Answer(name, result)
            return
        actor.starting = None
        if isinstance(result, Failure):
            del self._actors[name]
            self._pause()
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS and not self.workers:
                raise VidcolorError(f"no worker can start: {result.error}")
            self.on_note(f"a worker cannot start: {result.error}")
        elif actor.colors and not self._agrees(result):
            actor.refused = True
        else:
            actor.info = result
            yield WorkerUp(name, result.host, actor.colors, joins=self._join_too(actor))

    def _agrees(self, info: WorkerInfo) -> bool:
        """Whether its pieces fit to those of the others."""
        if self.settings is None:
            self.settings, self.place_of_settings = info.settings, info.described
        if info.settings == self.settings:
            return True
        self.on_note(
            f"{info.host} is not used: it has {info.described}, the others have "
            f"{self.place_of_settings}; install the same everywhere"
        )
        return False

    def _join_too(self, actor: _Actor) -> bool:
        return not actor.colors or not self._wanted()[1]

    def _pause(self) -> None:
        pause = min(LONGEST_PAUSE, 2.0**self._failed_starts)
        self._not_before = time.monotonic() + pause

    def _resize(self) -> None:
        """Start workers that the cluster has room for."""
        self._resized = time.monotonic()
        if self._resized < self._not_before:
            return
        colors, joins = self._wanted()
        have = sum(actor.colors for actor in self._actors.values())
        joiners = len(self._actors) - have
        for _ in range(colors - have):
            self._start(colors=True)
        if self.settings:
            for _ in range(joins - joiners):
                self._start(colors=False)

    def _start(self, *, colors: bool) -> None:
        self._count += 1
        gpus = self._share if colors and self._gpus() else 0
        cpus = 1 if gpus or not colors else self.cluster.cpus
        options = self._actor_class.options(num_gpus=gpus, num_cpus=cpus)
        settings = None if colors else self.settings
        handle = options.remote(self.job, self._model if colors else None, settings)
        self._actors[f"worker {self._count}"] = _Actor(handle, colors, handle.start.remote())

    @property
    def _share(self) -> float:
        default = 0.25 if self.job.model == "lite" else 1.0
        return self.cluster.gpu_share or default

    def _wanted(self) -> tuple[int, int]:
        """Workers that color, and workers that only join."""
        gpus = self._gpus()
        if gpus:
            room = sum(int(each / self._share + 1e-6) for each in gpus)
        else:
            room = sum(int(each / self.cluster.cpus) for each in self._resources("CPU"))
        colors = self.cluster.workers or max(1, room)
        return colors, -(-colors // COLORS_FOR_JOIN) if gpus else 0

    def _gpus(self) -> list[float]:
        return self._resources("GPU")

    def _resources(self, kind: str) -> list[float]:
        """On each machine that has any."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return [resources[kind] for resources in alive if resources.get(kind)]


def _connected(address: str) -> tuple[Any, bool]:
    """Ray, connected, and whether this has connected it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise VidcolorError(
            "Ray is not installed; pip install 'vidcolor[archive]', or use --shard I/N"
        ) from error
    if ray.is_initialized():
        return ray, False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == "auto":
            with suppress(ConnectionError):
                ray.init(address="auto", **quiet)
                return ray, True
        if address in ("auto", "local"):
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise VidcolorError(
            f"the Ray cluster {address} cannot be reached ({in_words(error)}); check the address"
        ) from error
    return ray, True
