"""Which worker does what next: a state machine that knows no clock, no store and no machine."""

import heapq
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vidcolor.archive.layout import SourceFilm
from vidcolor.archive.task import (
    Busy,
    Cause,
    Failure,
    FilmDone,
    Missing,
    Outcome,
    PieceDone,
    Planned,
    Quarantined,
    Task,
    Unit,
)

ATTEMPTS: dict[Cause, int] = {"storage": 5, "memory": 6, "lost": 5, "film": 2}
"""How often a task may fail for each cause; then its film has failed."""

FIRST_WAIT: dict[Cause, float] = {"storage": 2.0, "memory": 0.0, "lost": 0.5, "film": 0.0}
"""Seconds before it is tried again; each further time twice as long."""

LONGEST_WAIT = 60.0
SHORTEST_WAIT = 0.5
"""Seconds."""

LASTING: set[Cause] = {"film", "memory", "lost"}
"""Causes that put a film into quarantine; another run may find the storage working again."""

REMEMBERED = 3
"""Films that a machine is thought to have at hand."""

MOST_OPEN = 1000
"""Films that are begun and wait: for another run that works on them, or for another attempt."""

STORAGE_GONE = 20
"""Films that fail one after the other because of the storage, after which no more are tried."""


@dataclass(frozen=True)
class FilmEnded:
    """A film is finished, or has failed."""

    film: SourceFilm
    outcome: FilmDone | Failure | Quarantined


@dataclass
class _Worker:
    place: str
    joins: bool
    colors: bool
    task: Task | None = None


@dataclass
class _Film:
    film: SourceFilm
    missing: set[int] = field(default_factory=set)
    """Pieces that are not finished."""
    colored: int = 0
    """Frames that this run has colored."""
    failures: Counter[tuple[Unit, int, Cause]] = field(default_factory=Counter)


@dataclass
class Totals:
    """What has happened so far."""

    films: int = 0
    """To make in this run, as far as is known."""
    bytes: int = 0
    """Of these."""
    done: int = 0
    done_bytes: int = 0
    made: int = 0
    """Films that this run has published; the others were published by another run."""
    failed: int = 0
    frames: int = 0
    """That were colored."""
    footage: float = 0.0
    """Seconds of the films that this run has published."""
    working: float = 0.0
    """Seconds that workers have spent on coloring."""
    pieces: int = 0
    """That were colored; a film in one piece counts as one."""
    twice: int = 0
    """Of these, how many somebody else had finished meanwhile."""
    begun_again: int = 0
    """Pieces and films whose worker had died in the middle."""
    retries: Counter[str] = field(default_factory=Counter)
    """By cause."""
    failures: Counter[str] = field(default_factory=Counter)
    """Films that have failed, by cause."""


class Scheduler:
    """Gives every worker its next task, and takes in what became of the last one.

    films: in the order in which they are begun; read only as far as needed.
    total, total_bytes: how many they are, for progress.

    Films that are begun are finished before others are begun, so that few pieces wait in the store;
    a machine that has a film at hand gets the next piece of it. Times are seconds of any clock that
    the caller keeps.
    """

    def __init__(self, films: Iterable[SourceFilm], total: int = 0, total_bytes: int = 0):
        self._new: Iterator[SourceFilm] = iter(films)
        self._exhausted = False
        self._open: dict[str, _Film] = {}
        self._pieces: OrderedDict[str, deque[int]] = OrderedDict()
        self._films: deque[Task] = deque()
        self._joins: deque[Task] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._count = 0
        self._workers: dict[str, _Worker] = {}
        self._near: dict[str, deque[str]] = {}
        self._idle: dict[bool, dict[str, None]] = {False: {}, True: {}}
        """Workers without a task, in the order in which they became idle, by whether they color."""
        self._storage_failures = 0
        self._joiners = 0
        self.totals = Totals(films=total, bytes=total_bytes)
        self.ended: deque[FilmEnded] = deque()
        """Films that have ended, for the caller to take."""

    @property
    def finished(self) -> bool:
        """Whether all films are done or have failed."""
        return self._exhausted and not self._open

    @property
    def storage_is_gone(self) -> bool:
        """Whether nothing succeeds any more because of the storage."""
        return self._storage_failures >= STORAGE_GONE

    @property
    def working(self) -> int:
        """How many workers have a task."""
        return len(self._workers) - sum(map(len, self._idle.values()))

    @property
    def open_films(self) -> int:
        """Films that are begun and not finished."""
        return len(self._open)

    def add_worker(self, name: str, place: str, *, colors: bool = True, joins: bool = True) -> None:
        """place: the machine, whose workers share what they have fetched."""
        self._workers[name] = _Worker(place, joins, colors)
        self._idle[colors][name] = None
        self._near.setdefault(place, deque(maxlen=REMEMBERED))
        self._joiners += not colors

    def remove_worker(self, name: str, now: float, why: str = "its machine is gone") -> None:
        """The worker is gone; what it did has failed."""
        worker = self._workers.get(name)
        if worker is None:
            return
        if worker.task:
            self.report(name, Failure("lost", why), now)
        del self._workers[name]
        del self._idle[worker.colors][name]
        self._joiners -= not worker.colors

    def assign(self, now: float) -> Iterator[tuple[str, Task]]:
        """Give tasks to workers that have none, as long as there are both."""
        self._wake(now)
        for idle in self._idle.values():
            while idle:
                name = next(iter(idle))
                worker = self._workers[name]
                worker.task = self._take(worker)
                if worker.task is None:
                    break
                del idle[name]
                near = self._near[worker.place]
                if worker.colors and worker.task.film.name not in near:
                    near.append(worker.task.film.name)
                yield name, worker.task

    def wait(self, now: float) -> float | None:
        """Seconds until something can be tried again; None where nothing waits for that."""
        return max(0.0, self._later[0][0] - now) if self._later else None

    def report(self, name: str, outcome: Outcome, now: float) -> None:
        """What became of the worker's task."""
        worker = self._workers[name]
        task, worker.task = worker.task, None
        self._idle[worker.colors][name] = None
        film = self._open.get(task.film.name) if task else None
        if task is None or film is None:  # the film has ended meanwhile
            return
        match outcome:
            case FilmDone():
                self._count_film(film, outcome)
                self._end(film, outcome)
            case Planned(pieces, done):
                film.missing = set(range(pieces)) - done
                self._queue_pieces(film, sorted(film.missing))
            case PieceDone():
                self._count_piece(outcome)
                film.colored += outcome.frames
                film.missing.discard(task.number)
                if not film.missing:
                    self._joins.append(Task(film.film, "join"))
            case Missing(numbers):
                # Counted, so that a store that loses everything does not keep this going for ever.
                film.missing = set(numbers)
                if self._is_tried_again(film, task, "storage"):
                    self._queue_pieces(film, sorted(numbers))
                else:
                    self._end(film, Failure("storage", "finished pieces vanish from the store"))
            case Busy(seconds):
                self._put_off(task, now + max(SHORTEST_WAIT, seconds))
            case Quarantined():
                self._end(film, outcome)
            case Failure(cause):
                if self._is_tried_again(film, task, cause):
                    times = film.failures[task.unit, task.number, cause] - 1
                    wait = min(LONGEST_WAIT, FIRST_WAIT[cause] * 2**times)
                    self._put_off(task, now + wait)
                else:
                    self._end(film, outcome)

    def _is_tried_again(self, film: _Film, task: Task, cause: Cause) -> bool:
        film.failures[task.unit, task.number, cause] += 1
        self.totals.retries[cause] += 1
        return film.failures[task.unit, task.number, cause] < ATTEMPTS[cause]

    def _take(self, worker: _Worker) -> Task | None:
        if self._joins and (worker.joins or len(self._joins) > 4 * max(1, self._joiners)):
            return self._joins.popleft()
        if not worker.colors:
            return None
        near = (name for name in reversed(self._near[worker.place]) if name in self._pieces)
        name = next(near, next(iter(self._pieces), None))
        if name is not None:
            return self._take_piece(name)
        if self._films:
            return self._films.popleft()
        if len(self._open) < MOST_OPEN + len(self._workers) and not self.storage_is_gone:
            return self._begin_film()
        return None

    def _take_piece(self, name: str) -> Task:
        numbers = self._pieces[name]
        number = numbers.popleft()
        if not numbers:
            del self._pieces[name]
        return Task(self._open[name].film, "piece", number)

    def _begin_film(self) -> Task | None:
        film = next(self._new, None)
        if film is None:
            self._exhausted = True
            return None
        self._open[film.name] = _Film(film)
        return Task(film, "film")

    def _queue_pieces(self, film: _Film, numbers: list[int]) -> None:
        if numbers:
            self._pieces.setdefault(film.film.name, deque()).extend(numbers)
        else:
            self._joins.append(Task(film.film, "join"))

    def _put_off(self, task: Task, until: float) -> None:
        self._count += 1
        heapq.heappush(self._later, (until, self._count, task))

    def _wake(self, now: float) -> None:
        """Queue what has waited long enough."""
        while self._later and self._later[0][0] <= now:
            task = heapq.heappop(self._later)[2]
            if task.film.name not in self._open:
                continue
            if task.unit == "piece":
                self._pieces.setdefault(task.film.name, deque()).append(task.number)
            else:
                (self._joins if task.unit == "join" else self._films).append(task)

    def _count_piece(self, outcome: PieceDone | FilmDone) -> None:
        totals = self.totals
        frames = outcome.frames if isinstance(outcome, PieceDone) else outcome.colored
        totals.pieces += frames > 0
        totals.frames += frames
        totals.working += outcome.seconds
        totals.twice += outcome.twice
        totals.begun_again += outcome.again

    def _count_film(self, film: _Film, outcome: FilmDone) -> None:
        self._count_piece(outcome)
        self._storage_failures = 0
        self.totals.done += 1
        self.totals.done_bytes += film.film.size
        if outcome.made:
            self.totals.made += 1
            self.totals.footage += outcome.footage

    def _end(self, film: _Film, outcome: FilmDone | Failure | Quarantined) -> None:
        """Nothing more is done for this film."""
        name = film.film.name
        del self._open[name]
        self._pieces.pop(name, None)
        for waiting in (self._films, self._joins):
            for task in [task for task in waiting if task.film.name == name]:
                waiting.remove(task)
        if not isinstance(outcome, FilmDone):
            cause = outcome.cause if isinstance(outcome, Failure) else "earlier"
            self.totals.failed += 1
            self.totals.failures[cause] += 1
            if cause == "storage":
                self._storage_failures += 1
        self.ended.append(FilmEnded(film.film, outcome))
