"""What listeners are told: events with growing numbers, which keep growing over restarts."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

KEPT = 200
"""Events of a job, beside its progress, that a listener who comes back can still get."""

KEPT_AT_END = 10


@dataclass(frozen=True)
class Event:
    """One event of the stream."""

    id: int
    name: str
    data: dict[str, Any]


class Bell:
    """Wakes everyone who waits for news."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ring(self) -> None:
        """There are news."""
        self._next.set()
        self._next = asyncio.Event()

    def ticket(self) -> asyncio.Event:
        """Take it before looking for news; it is set when there are some after that."""
        return self._next


class Counter:
    """Numbers of events. They begin with the time in milliseconds, so a restart goes on."""

    def __init__(self) -> None:
        self._last = time.time_ns() // 1_000_000

    def next(self) -> int:
        self._last += 1
        return self._last


class Feed:
    """The events of one job: the latest ones, and of its progress the last alone.

    A listener that is slow or away misses progress, and nothing else; the server holds the same
    few events however many listen.
    """

    def __init__(self, counter: Counter):
        self._counter = counter
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._progress: Event | None = None
        self._bell = Bell()
        self.ended = False

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """An event that every listener gets."""
        self._kept.append(Event(self._counter.next(), name, data))
        self._bell.ring()

    def progress(self, data: dict[str, Any]) -> None:
        """Replaces the progress before."""
        self._progress = Event(self._counter.next(), "progress", data)
        self._bell.ring()

    def end(self) -> None:
        """Streams end after what has been told, of which a late listener needs the last alone."""
        self.ended = True
        self._progress = None
        while len(self._kept) > KEPT_AT_END:
            self._kept.popleft()
        self._bell.ring()

    @property
    def last(self) -> int:
        """Number of the latest event; 0 before the first."""
        latest = [*([self._kept[-1].id] if self._kept else []), *self._progress_id]
        return max(latest, default=0)

    @property
    def _progress_id(self) -> list[int]:
        return [self._progress.id] if self._progress else []

    def since(self, number: int) -> list[Event]:
        """What is newer, in order."""
        events = [*self._kept, *([self._progress] if self._progress else [])]
        return sorted((event for event in events if event.id > number), key=lambda event: event.id)

    async def listen(self, number: int, closing: asyncio.Event) -> AsyncIterator[Event]:
        """Everything newer than `number`, as it comes, until the job has ended or `closing`."""
        while True:
            ticket = self._bell.ticket()
            for event in self.since(number):
                number = event.id
                yield event
            if self.ended and not self.since(number):
                return
            await first_of(ticket, closing)
            if closing.is_set():
                return


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
