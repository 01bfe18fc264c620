"""Workers behind a small interface, and the loop that keeps them busy."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from vidcolor.archive.scheduler import FilmEnded, Scheduler
from vidcolor.archive.task import Outcome, Task
from vidcolor.errors import StorageError

LONGEST_POLL = 1.0
"""Seconds for which the loop waits for news before it looks at the time."""


@dataclass(frozen=True, slots=True)
class WorkerUp:
    """A worker is ready for tasks."""

    name: str
    place: str
    """Its machine."""
    colors: bool = True
    joins: bool = True


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker does nothing any more."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker has ended its task."""

    name: str
    outcome: Outcome


News = WorkerUp | WorkerGone | Answer


class Pool(Protocol):
    """Workers, wherever they are."""

    def submit(self, name: str, task: Task) -> None:
        """Give a worker, which has none, a task."""
        ...

    def poll(self, seconds: float) -> Iterable[News]:
        """What has happened; waits for so long if there is nothing."""
        ...


class OneWorker:
    """The worker in this very process, doing each task when it is polled."""

    def __init__(self, do: Callable[[Task], Outcome], sleep: Callable[[float], object]):
        self._do = do
        self._sleep = sleep
        self._task: Task | None = None
        self._is_new = True

    def submit(self, name: str, task: Task) -> None:
        self._task = task

    def poll(self, seconds: float) -> Iterator[News]:
        if self._is_new:
            self._is_new = False
            yield WorkerUp("here", "here")
        elif self._task:
            task, self._task = self._task, None
            yield Answer("here", self._do(task))
        else:
            self._sleep(seconds)


def drive(
    scheduler: Scheduler,
    pool: Pool,
    *,
    on_end: Callable[[FilmEnded], object],
    on_round: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Keep the pool's workers busy until every film is done or has failed.

    on_end: called with each of them. on_round: called about once a second, or after any news.
    Raises StorageError where film after film fails because of the storage.
    """
    while True:
        now = clock()
        for name, task in scheduler.assign(now):
            pool.submit(name, task)
        while scheduler.ended:
            on_end(scheduler.ended.popleft())
        on_round()
        if scheduler.finished:
            return
        if scheduler.storage_is_gone and not scheduler.open_films:
            raise StorageError(
                "film after film failed because of the storage; check the network and the "
                "permissions, then give the same command again"
            )
        wait = scheduler.wait(now)
        for news in pool.poll(LONGEST_POLL if wait is None else min(wait, LONGEST_POLL)):
            match news:
                case WorkerUp(name, place, colors, joins):
                    scheduler.add_worker(name, place, colors=colors, joins=joins)
                case WorkerGone(name, why):
                    scheduler.remove_worker(name, clock(), why)
                case Answer(name, outcome):
                    scheduler.report(name, outcome, clock())
