"""What became of every film, beside the results: done.jsonl and failed.jsonl."""

import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from vidcolor.archive.layout import (
    DONE,
    FAILED,
    STATE,
    FilmFolder,
    SourceFilm,
    read_json,
    text_of,
    to_json,
)
from vidcolor.archive.scheduler import LASTING
from vidcolor.archive.store import Store
from vidcolor.archive.task import Failure, Quarantined

READERS = 16
"""Records that are read at the same time."""


LONGEST_LAG = 900.0
"""Seconds after which a listing shows everything."""


class Journal:
    """The failures of one run, and both lists in the store."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic):
        self._store = store
        self._clock = clock
        self._recent: deque[tuple[float, str, FilmFolder]] = deque()
        """(time, result, folder) of films that ended lately: a listing that lags misses them."""
        self._failed: dict[str, dict[str, Any]] = {}

    def note_failure(self, film: SourceFilm, outcome: Failure | Quarantined) -> None:
        cause = outcome.cause if isinstance(outcome, Failure) else "earlier"
        self._failed[film.name] = {"film": film.name, "cause": cause, "error": outcome.error}

    def note_done(self, film: SourceFilm, folder: FilmFolder) -> None:
        """The film has a result."""
        now = self._clock()
        self._recent.append((now, film.target, folder))
        while self._recent[0][0] < now - LONGEST_LAG:
            self._recent.popleft()

    def quarantine(self, film: SourceFilm, folder: FilmFolder, failure: Failure) -> None:
        """Let no other run try the film again, where another attempt would not help."""
        if failure.cause in LASTING:
            record = {"film": film.name, "cause": failure.cause, "error": failure.error}
            self._store.write(folder.failed, to_json(record))

    @property
    def failures(self) -> list[dict[str, Any]]:
        """(film, cause, error) of each film that has failed in this run or an earlier one."""
        return [self._failed[name] for name in sorted(self._failed)]

    def publish(self, *, complete: bool) -> None:
        """Write both lists, and remove what finished films no longer need.

        complete: whether this run has looked at every film.
        """
        failed = dict(self._failed)
        with tempfile.TemporaryDirectory() as folder:
            lines = Path(folder) / "lines"
            with lines.open("wb") as file:
                _write_lines(file, self._done(Path(folder)))
            self._store.write(DONE, lines.read_bytes())
            if not complete:
                earlier = self._lines(FAILED, Path(folder))
                failed = {str(line.get("film")): line for line in earlier} | failed
        ordered = (failed[name] for name in sorted(failed))
        self._store.write(FAILED, b"".join(to_json(line) + b"\n" for line in ordered))

    def _done(self, folder: Path) -> Iterator[dict[str, Any]]:
        """A line for each result: those of the present list, then those that it lacks."""
        results = {entry.name for entry in self._store.list()}
        results |= {target for _, target, _ in self._recent}
        listed, folders = set(), set()
        for line in self._lines(DONE, folder):
            if (result := text_of(line, "result")) in results:
                listed.add(result)
                folders.add(text_of(line, "folder"))
                yield line
        unlisted = [each.done for _, _, each in self._recent if each.path not in folders]
        cluttered: dict[str, list[str]] = {}
        for path, names in self._folders():
            if f"{path}/done.json" in names:
                if path not in folders:
                    unlisted.append(f"{path}/done.json")
                if len(names) > 1:
                    cluttered[path] = names
        with ThreadPoolExecutor(READERS) as readers:
            for record in readers.map(lambda name: read_json(self._store, name), unlisted):
                result = text_of(record, "result") if record else None
                if record and result in results and result not in listed:
                    listed.add(result)
                    yield record
        for path, names in cluttered.items():
            self._tidy(path, names, results)

    def _folders(self) -> Iterator[tuple[str, list[str]]]:
        """(path, names in it) of each film's folder."""
        names = (entry.name for entry in self._store.list(STATE) if entry.name.count("/") == 2)
        for path, group in groupby(sorted(names), lambda name: name.rpartition("/")[0]):
            yield path, list(group)

    def _tidy(self, path: str, names: list[str], results: set[str]) -> None:
        """Remove what a worker left that died between giving a film its name and cleaning up."""
        record = read_json(self._store, f"{path}/done.json") or {}
        if text_of(record, "result") in results:
            self._store.remove([name for name in names if name != FilmFolder(path).done])

    def _lines(self, name: str, folder: Path) -> Iterator[dict[str, Any]]:
        path = folder / name
        with suppress(FileNotFoundError):
            self._store.fetch(name, path)
            with path.open("rb") as file:
                for line in file:
                    with suppress(ValueError, RecursionError):  # the list was cut short
                        content = json.loads(line)
                        if isinstance(content, dict):
                            yield content


def _write_lines(file: IO[bytes], lines: Iterable[dict[str, Any]]) -> None:
    for line in lines:
        file.write(to_json(line) + b"\n")
