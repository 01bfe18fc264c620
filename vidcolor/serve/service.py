"""Everything that one server holds together, and what it does beside answering."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakValueDictionary

from vidcolor.serve.dispatch import Dispatcher
from vidcolor.serve.jobs import JobStore
from vidcolor.serve.look import Looker
from vidcolor.serve.place import Place
from vidcolor.serve.settings import ServeSettings
from vidcolor.serve.uploads import Upload, UploadStore
from vidcolor.serve.words import without_paths

log = logging.getLogger(__name__)

SWEEP_EVERY = 60.0
"""Seconds between two looks for what has expired."""


LOST = 600.0
"""Seconds after which the result of a call goes whose client did not stay to the end."""


class OptionReader(Protocol):
    """The command line's own reading of options, which this room does not import."""

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options, with defaults; VidcolorError in the command line's words."""
        ...

    def described(self) -> list[dict[str, Any]]:
        """What there is, with its help."""
        ...

    def flag(self, name: str) -> str:
        """How an option is written on the command line."""
        ...


class Service:
    """The state of one server."""

    def __init__(self, settings: ServeSettings, place: Place, options: OptionReader, token: str):
        self.settings = settings
        self.place = place
        self.options = options
        self.token = token
        self.uploads = UploadStore(place, settings.limits)
        self.jobs = JobStore(place, settings.limits)
        self.dispatcher = Dispatcher(settings, self.jobs, self.uploads)
        self.closing = asyncio.Event()
        """Set when the server is told to end: streams of events end then."""
        self.look = Looker(settings.look).look
        self.listeners = 0
        self._looking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.requests: dict[tuple[str, int], int] = {}
        """Answers by method and status."""
        self.received = 0
        """Bytes of uploads."""
        self.started = time.time()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            with suppress(OSError):
                self.sweep()
            await asyncio.sleep(SWEEP_EVERY)

    def sweep(self) -> None:
        """Delete what has expired."""
        now = time.time()
        for job in self.jobs:
            expires = self.jobs.expires(job)
            if not job.upload and expires is not None:
                expires = (job.ended or 0) + LOST
            if expires is not None and now > expires:
                self.remove_job(job.id)
        for upload in self.uploads:
            used = upload.stop is not None or self.jobs.uses(upload.id)
            if not used and now > self.uploads.expires(upload):
                log.info("upload %s has expired", upload.id)
                self.uploads.remove(upload)

    async def look_at(self, upload: Upload) -> dict[str, Any]:
        """What a complete upload is; it is looked at once. Where that fails, `error` says why."""
        async with self._looking.setdefault(upload.id, asyncio.Lock()):
            if upload.look is None:
                found = await self.look(upload.path)
                found["error"] = self.plain(found["error"], upload)
                upload.look = found
                self.uploads.save(upload)
        return upload.look

    def plain(self, error: str | None, upload: Upload) -> str | None:
        """An error in the client's names."""
        if error is None:
            return None
        return without_paths(error, {upload.path: upload.name}, self.place.path)

    def remove_job(self, id: str) -> None:
        """Delete a finished job, and tell listeners."""
        job = self.jobs.find(id)
        if job is not None:
            self.jobs.remove(job)
            self.dispatcher.forget(job)
