"""Server-sent events: of one job, and of all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from fastapi.sse import ServerSentEvent

from vidcolor.serve.events import first_of
from vidcolor.serve.jobs import LiveJob
from vidcolor.serve.service import Service
from vidcolor.serve.uploads import Refusal
from vidcolor.serve.views import job_view, view

RETRY = 2000
"""Milliseconds after which a browser comes back."""

PACE = 0.25
"""Seconds between two looks for news of one job; of all jobs, twice as long."""


def last_id(request: Request) -> int:
    """The number after which a client that comes back goes on; 0 for a new one."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def check_listeners(service: Service) -> None:
    """Raises Refusal where there are too many."""
    if service.listeners >= service.settings.limits.listeners:
        raise Refusal(503, "too many listen already; close other windows", {"Retry-After": "10"})


async def of_job(service: Service, job: LiveJob, last: int) -> AsyncIterator[ServerSentEvent]:
    """The events of a job after `last`; of a new listener, its state first."""
    with _counted(service):
        yield ServerSentEvent(comment="vidcolor", retry=RETRY)
        if not last:
            last = job.feed.last or service.jobs.counter.next()
            yield ServerSentEvent(event="state", data=view(job, service.dispatcher), id=str(last))
            if not job.unfinished:
                yield _end(service, job)
                return
        elif not job.unfinished and not job.feed.since(last):
            # The server was started again since: what is known now is told again.
            yield _end(service, job)
            return
        async for event in job.feed.listen(last, service.closing):
            yield ServerSentEvent(event=event.name, data=event.data, id=str(event.id))
            if event.name == "progress":
                await asyncio.sleep(PACE)


def _end(service: Service, job: LiveJob) -> ServerSentEvent:
    number = str(service.jobs.counter.next())
    return ServerSentEvent(event="end", data=view(job, service.dispatcher), id=number)


async def of_all(service: Service, last: int) -> AsyncIterator[ServerSentEvent]:
    """Every job that has changed after `last`, as it is now."""
    dispatcher = service.dispatcher
    last = last or service.jobs.counter.next()
    with _counted(service):
        yield ServerSentEvent(comment="vidcolor", retry=RETRY)
        while not service.closing.is_set():
            ticket = dispatcher.changed.ticket()
            for number, name, data in _news(service, last):
                last = number
                yield ServerSentEvent(event=name, data=data, id=str(number))
            await asyncio.sleep(2 * PACE)
            await first_of(ticket, service.closing)


def _news(service: Service, last: int) -> list[tuple[int, str, dict[str, Any]]]:
    dispatcher = service.dispatcher
    found = [(number, "gone", {"id": id}) for number, id in dispatcher.gone if number > last]
    for id, number in dispatcher.changes.items():
        job = service.jobs.find(id)
        if number > last and job is not None and job.kind != "sheet":
            found.append((number, "job", job_view(job, dispatcher)))
    return sorted(found, key=lambda item: item[0])


@contextmanager
def _counted(service: Service) -> Any:
    service.listeners += 1
    try:
        yield
    finally:
        service.listeners -= 1
