"""Who is working on what: claims that run out unless they are renewed.

A claim is an object that is written if it is absent. Its owner writes it again every few seconds;
when it was not, for longer than it says, somebody else takes the next generation of it. So two runs
rarely do the same thing, and nothing waits for a machine that is gone. No result depends on claims:
whoever finishes first wins, and clocks that differ by more than a claim lasts cost time alone.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vidcolor.archive.layout import FilmFolder, read_json, time_of, to_json
from vidcolor.archive.store import Store
from vidcolor.errors import VidcolorError

log = logging.getLogger(__name__)

SECONDS = 60.0
"""How long a claim lasts after it was renewed last."""

RENEWALS = 4
"""In that time."""

LONGEST = 3600.0
"""Seconds; a claim that would last longer was written by a clock that is wrong, and does not count.
"""

MOST = 8
"""Claims on one thing that ran out, one after the other: each time, whoever worked died."""


class Claimed(Exception):
    """Somebody else is working on it."""

    def __init__(self, seconds: float):
        super().__init__(f"claimed for another {seconds:.0f} s")
        self.seconds = seconds
        """After which to look again."""


class TooManyDeathsError(VidcolorError):
    """Nobody who worked on this has lived to tell."""


@dataclass(frozen=True)
class Claims:
    """What one run claims."""

    store: Store
    run: str
    """Text that no other run has."""
    worker: str
    """For people."""
    seconds: float = SECONDS
    clock: Callable[[], float] = time.time

    @contextmanager
    def taken(self, folder: FilmFolder, unit: str, film: str) -> Iterator[int]:
        """Work on one thing, which nobody else claims meanwhile; gives the claim's generation.

        Raises Claimed while another run works on it, and TooManyDeathsError.
        """
        token = uuid.uuid4().hex
        content = {"run": self.run, "worker": self.worker, "film": film, "token": token}
        generation = self._take(folder, unit, content)
        name = folder.claim(unit, generation)
        over = threading.Event()
        renewing = threading.Thread(
            target=self._renew, args=(name, content, over), name=f"claim on {unit}", daemon=True
        )
        renewing.start()
        try:
            yield generation
        finally:
            over.set()
            renewing.join()
            self.store.remove([name])

    def _take(self, folder: FilmFolder, unit: str, content: dict) -> int:
        for generation in range(1, MOST + 1):
            name = folder.claim(unit, generation)
            found = read_json(self.store, name)
            if found is None:
                if self.store.create(name, self._dated(content)):
                    return generation
                found = read_json(self.store, name)
                if found is None and self.store.stat(name) is None:  # given back just now
                    raise Claimed(self.seconds / RENEWALS)
                found = found or {}  # something else: as if it had run out
                if found.get("token") == content["token"]:  # the answer to our request was lost
                    return generation
            left = self._left(found)
            # A run gives each thing to one worker at a time: its own claim is one of a dead worker.
            if left > 0 and found.get("run") != self.run:
                raise Claimed(min(left, self.seconds / RENEWALS))
        raise TooManyDeathsError(
            f"{MOST} workers died, one after the other, while they worked on it; look at the "
            "memory of the machines, then use --retry-failed"
        )

    def _left(self, found: dict) -> float:
        left = time_of(found, "expires") - self.clock()
        return left if left < LONGEST else 0.0

    def _dated(self, content: dict) -> bytes:
        return to_json({**content, "expires": self.clock() + self.seconds})

    def _renew(self, name: str, content: dict, over: threading.Event) -> None:
        while not over.wait(self.seconds / RENEWALS):
            try:
                self.store.write(name, self._dated(content))
            except Exception as error:  # the next renewal may succeed; at worst, work is done twice
                log.warning("a claim could not be renewed: %s", error)
