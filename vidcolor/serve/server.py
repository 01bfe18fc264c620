"""Listening: uvicorn, with connections that must say what they want in time."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from vidcolor.serve.app import create_app
from vidcolor.serve.place import Place, ServeError
from vidcolor.serve.service import OptionReader, Service
from vidcolor.serve.settings import ServeSettings

log = logging.getLogger(__name__)

KEEP_ALIVE = 20
"""Seconds that a connection may idle between two requests."""

STALLED = 10
"""How many times the patience of a request a client has to take some of an answer.

A film that is paused in a browser is not read; the browser asks again for what it lacks.
"""

CLOSING = 5
"""Seconds for answers in progress when the server ends."""


def serve(
    settings: ServeSettings,
    options: OptionReader,
    on_address: Callable[[str], object],
    *,
    new_token: bool = False,
) -> None:
    """Run a server until a signal ends it.

    on_address: called with the address, and the token in it, when the server listens.
    Raises ServeError where it cannot start.
    """
    os.umask(0o077)  # of the worker, too
    place = Place(settings.data)
    with place.held():
        service = Service(settings, place, options, place.token(new=new_token))
        listener = _listen(settings.host, settings.port)
        with listener:
            on_address(address(listener, service.token, settings.allowed_hosts))
            config = uvicorn.Config(
                create_app(service),
                http=_protocol(settings.limits.patience),
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                limit_concurrency=settings.limits.connections,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=CLOSING,
                proxy_headers=True,  # of a proxy on this machine alone, which is the default
            )
            _Server(config, service).run(sockets=[listener])


def address(listener: socket.socket, token: str, names: Sequence[str] = ()) -> str:
    """What to open in a browser. The part behind # is never sent, and in no log.

    names: under which the server may be addressed, too.
    """
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = next(iter(names), "127.0.0.1")
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/#token={token}"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(2048)  # who comes before the server is ready waits
    except OSError as error:
        raise ServeError(
            f"cannot listen at {host}:{port} ({error.strerror}); give another --host or --port"
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Ends streams of events as soon as it is told to end, which else would last for ever."""

    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._service.closing.set)
        super().handle_exit(sig, frame)


def _protocol(patience: float) -> type[asyncio.Protocol]:
    """HTTP/1.1 whose connections are closed where headers do not come, or answers go, in time."""

    class Impatient(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _stalled: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait_for_request()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait_for_request()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._timer, self._stalled):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stalled = self.loop.call_later(STALLED * patience, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._stalled is not None:
                self._stalled.cancel()

        def _wait_for_request(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(patience, self._give_up)

        def _give_up(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Impatient
