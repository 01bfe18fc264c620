"""The application: endpoints, errors and what runs beside them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidcolor import __version__
from vidcolor.errors import VidcolorError
from vidcolor.serve import api_calls, api_jobs, api_uploads, pages
from vidcolor.serve.body import CLOSE, SMALL, too_large
from vidcolor.serve.guard import Guard, refused
from vidcolor.serve.service import Service
from vidcolor.serve.uploads import Refusal
from vidcolor.serve.views import ROOT
from vidcolor.serve.words import without_paths

log = logging.getLogger(__name__)

ABOUT = (
    "Colors films and stills. Send the token as `Authorization: Bearer TOKEN`. Errors are "
    '{"detail": "what happened, and what to do"}.'
)


def create_app(service: Service) -> ASGIApp:
    """The whole server as an ASGI application."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        service.dispatcher.start()
        sweeper = asyncio.create_task(service.run())
        yield
        service.closing.set()
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
        await service.dispatcher.stop()
        service.place.disk.close()

    app = FastAPI(
        title="vidcolor",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=running,
        swagger_ui_oauth2_redirect_url=None,
    )
    guard = Guard(
        Limited(Counted(app, service), service), service.token, service.settings.allowed_hosts
    )
    app.include_router(api_uploads.router(service))
    app.include_router(api_jobs.router(service))
    app.include_router(api_jobs.sheets_router(service))
    app.include_router(api_calls.router(service, guard))
    app.include_router(pages.router(app))

    async def on_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return refused(error)

    async def on_error(request: Request, error: Exception) -> Response:
        text = without_paths(str(error), {}, service.place.path)
        return JSONResponse({"detail": text}, 422)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        return JSONResponse({"detail": f"{place[:80]}: {first['msg']}"}, 422)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)

    async def on_fault(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "an unexpected error; the server's log says more"}, 500)

    app.add_exception_handler(Exception, on_fault)
    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(VidcolorError, on_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    return guard


class Limited:
    """Bodies of everything that is no file: small, and sent within the server's patience.

    The endpoints that take files have limits of their own.
    """

    def __init__(self, app: ASGIApp, service: Service):
        self.app = app
        self.patience = service.settings.limits.patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _takes_files(scope):
            await self.app(scope, receive, send)
            return
        body = bytearray()
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return  # the client has gone
                    body += message.get("body", b"")
                    if len(body) > SMALL:
                        raise too_large(SMALL)
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            await refused(Refusal(408, "the body came too slowly", CLOSE))(scope, receive, send)
            return
        except Refusal as refusal:
            await refused(refusal)(scope, receive, send)
            return
        whole: Message = {"type": "http.request", "body": bytes(body), "more_body": False}
        told = False

        async def once() -> Message:
            nonlocal told
            if not told:
                told = True
                return whole
            return await receive()

        await self.app(scope, once, send)


def _takes_files(scope: Scope) -> bool:
    path, method = scope["path"], scope["method"]
    if method == "PATCH":
        return path.startswith(f"{ROOT}/uploads/")
    return method == "POST" and path in (f"{ROOT}/colorize", f"{ROOT}/is-grayscale")


class Counted:
    """Counts answers by method and status, for the metrics."""

    METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})

    def __init__(self, app: ASGIApp, service: Service):
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Methods are the client's words: an unknown one counts with all others.
                method = scope["method"] if scope["method"] in self.METHODS else "other"
                key = (method, message["status"])
                self.service.requests[key] = self.service.requests.get(key, 0) + 1
            await send(message)

        await self.app(scope, receive, counting if scope["type"] == "http" else send)
