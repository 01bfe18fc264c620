"""The archive's own scheduler with workers that only pretend, on a clock that jumps.

python benchmarks/archive_simulation.py [FILMS] [GPUS] [FPS] [OVERHEAD] [SEED]

FPS: frames that one worker colors in a second, and OVERHEAD: seconds that a task takes beside that,
both as benchmarks/archive_throughput.py prints them for a machine. A GPU has four workers, and a
joining worker for each GPU. Machines die, requests fail, films are broken.
"""

import heapq
import math
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from vidcolor.archive.layout import SourceFilm
from vidcolor.archive.pool import Answer, News, WorkerGone, WorkerUp, drive
from vidcolor.archive.scheduler import FilmEnded, Scheduler
from vidcolor.archive.task import Failure, FilmDone, Outcome, PieceDone, Planned, Task

KINDS = ((0.35, 4.0, 0.7), (0.40, 18.0, 0.6), (0.25, 82.0, 0.25))
"""Newsreels, shorts, features: share, median in minutes, sigma of the logarithm."""

LONGEST = 5 * 3600.0
RATE = 24.0
PIECE_SECONDS = 300.0
PER_GPU = 4

FETCH = 100e6
"""Bytes per second."""

BITRATE = 8e6 / 8
"""Bytes per second of film."""

SCAN_RATE = 800.0
"""Frames per second that are looked at for cuts."""

DEATHS = 1 / (24 * 3600)
"""Of a worker, in a second that it works."""

COMES_BACK = 180.0
"""Seconds until a dead worker is replaced."""

STORAGE_FAILS = 2e-3
"""Of the tasks."""

MEMORY_FAILS = 5e-4
BROKEN = 1e-3
"""Of the films."""

SPREAD = 0.15
"""Sigma of the logarithm of what a task takes."""


def make_films(count: int, numbers: random.Random) -> list[SourceFilm]:
    """Longest first, as a run has them; the length follows from the bytes."""
    films = []
    for number in range(count):
        kind = numbers.choices(KINDS, [share for share, _, _ in KINDS])[0]
        seconds = 60 * math.exp(numbers.gauss(math.log(kind[1]), kind[2]))
        size = int(min(LONGEST, max(5.0, seconds)) * BITRATE)
        films.append(SourceFilm(f"{number % 997}/{number}.mp4", size, "", ""))
    return sorted(films, key=lambda film: -film.size)


class Pretending:
    """A pool of workers on a clock of its own."""

    def __init__(self, gpus: int, fps: float, overhead: float, numbers: random.Random):
        self.now = 0.0
        self.fps, self.overhead, self.numbers = fps, overhead, numbers
        self.count = self.tasks = 0
        self.events: list[tuple[float, int, News, float]] = []
        self.deaths = 0
        self.worked = self.lost = 0.0
        """Seconds of the workers that color: of work that counted, and of work that did not."""
        self.last_begun = 0.0
        for gpu in range(gpus):
            place = f"machine {gpu // 8}"
            for worker in range(PER_GPU):
                self._push(0.0, WorkerUp(f"{gpu}.{worker}", place, joins=False))
            self._push(0.0, WorkerUp(f"{gpu}.join", place, colors=False))

    def clock(self) -> float:
        return self.now

    def submit(self, name: str, task: Task) -> None:
        self.tasks += 1
        seconds = self._seconds(task) * math.exp(self.numbers.gauss(0, SPREAD))
        if task.unit != "join":
            self.last_begun = self.now
        dies_after = self.numbers.expovariate(DEATHS)
        if dies_after < seconds:
            self.deaths += 1
            self._push(self.now + dies_after, WorkerGone(name, "died"), dies_after)
            up = WorkerUp(name, f"machine {int(name.partition('.')[0]) // 8}", joins=False)
            if name.endswith("join"):
                up = WorkerUp(name, up.place, colors=False)
            self._push(self.now + dies_after + COMES_BACK, up)
            return
        self._push(self.now + seconds, Answer(name, self._outcome(task, seconds)), seconds)

    def poll(self, seconds: float) -> Iterator[News]:
        """Jump to the next event, or over the time that was asked for."""
        until = self.now + seconds
        if not self.events or self.events[0][0] > until:
            self.now = until
            return
        self.now, _, news, took = heapq.heappop(self.events)
        if not isinstance(news, WorkerUp) and not news.name.endswith("join"):
            if isinstance(news, Answer) and not isinstance(news.outcome, Failure):
                self.worked += took
            else:
                self.lost += took
        yield news

    def _push(self, when: float, news: News, took: float = 0.0) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, news, took))

    def _seconds(self, task: Task) -> float:
        length = task.film.size / BITRATE
        fetch = task.film.size / FETCH
        if task.unit == "join":
            return self.overhead + 2 * fetch
        if task.unit == "piece":
            return self.overhead + RATE * length / self._pieces(task) / self.fps
        if self._pieces(task) == 1:
            return self.overhead + fetch + RATE * length / self.fps
        return self.overhead + fetch + RATE * length / SCAN_RATE

    def _pieces(self, task: Task) -> int:
        return max(1, int(task.film.size / BITRATE / PIECE_SECONDS))

    def _outcome(self, task: Task, seconds: float) -> Outcome:
        if random.Random(task.film.name).random() < BROKEN and task.unit != "join":
            return Failure("film", "broken")
        if self.numbers.random() < STORAGE_FAILS:
            return Failure("storage", "slow down")
        if self.numbers.random() < MEMORY_FAILS:
            return Failure("memory", "out of memory")
        length = task.film.size / BITRATE
        frames = round(RATE * length / self._pieces(task))
        if task.unit == "piece":
            return PieceDone(frames, seconds)
        if task.unit == "film" and self._pieces(task) > 1:
            return Planned(self._pieces(task))
        colored = 0 if task.unit == "join" else frames
        return FilmDone(True, round(RATE * length), length, colored, seconds)


def memory() -> float:
    """Bytes of this process that are in memory, in millions."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def main() -> None:
    words = [*sys.argv[1:], *("100000", "100", "40", "3", "1")[len(sys.argv) - 1 :]]
    count, gpus, seed = int(words[0]), int(words[1]), int(words[4])
    numbers = random.Random(seed)
    films = make_films(count, numbers)
    hours = sum(film.size for film in films) / BITRATE / 3600
    pool = Pretending(gpus, float(words[2]), float(words[3]), numbers)
    scheduler = Scheduler(iter(films), count, sum(film.size for film in films))
    ended = set()
    marks: dict[int, float] = {}
    begun = time.process_time()

    def on_end(film: FilmEnded) -> None:
        assert film.film.name not in ended
        ended.add(film.film.name)
        percent = 100 * len(ended) // count
        if percent in (1, 10, 50, 90, 99) and percent not in marks:
            marks[percent] = memory()

    drive(scheduler, pool, on_end=on_end, clock=pool.clock)
    seconds = time.process_time() - begun
    totals, workers = scheduler.totals, gpus * PER_GPU
    assert len(ended) == count == totals.done + totals.failed
    ideal = sum(RATE * film.size / BITRATE / pool.fps for film in films) / workers
    available = pool.now * workers
    lines = {
        "films": f"{count}, {hours:.0f} hours, on {gpus} GPUs with {workers} workers",
        "done": f"{totals.done}; failed {dict(totals.failures)}",
        "tried again": f"{dict(totals.retries)}; workers that died: {pool.deaths}",
        "pieces colored": f"{totals.pieces}",
        "time": f"{pool.now / 3600:.2f} h; coloring alone, spread evenly, {ideal / 3600:.2f} h",
        "workers had nothing to do": f"{share(available - pool.worked - pool.lost, available)}",
        "their work was lost": f"{share(pool.lost, available)}",
        "from the last task that colors to the end": f"{pool.now - pool.last_begun:.0f} s",
        "scheduling": f"{1e6 * seconds / pool.tasks:.0f} us of processor time for each of "
        f"{pool.tasks} tasks, {share(seconds, pool.now)} of the time",
        "memory (MB) at % of the films": ", ".join(f"{at} %: {mb:.0f}" for at, mb in marks.items()),
    }
    for name, line in lines.items():
        print(f"{name}: {line}")


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.3f} %"


if __name__ == "__main__":
    main()
