"""Calls that answer at once: a still, a measurement; and what there is."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse

from vidcolor import __version__
from vidcolor.batch import FILMS, STILLS
from vidcolor.errors import VidcolorError
from vidcolor.serve import examples
from vidcolor.serve.answers import file_answer
from vidcolor.serve.api_jobs import LONGEST_WAIT, until_ended
from vidcolor.serve.body import SMALL, Cut, blocks
from vidcolor.serve.examples import refuses, shows
from vidcolor.serve.guard import COOKIE, Guard
from vidcolor.serve.jobs import Job, new_id
from vidcolor.serve.metrics import metrics_text
from vidcolor.serve.options import described, models_here, read_options
from vidcolor.serve.service import Service
from vidcolor.serve.uploads import Refusal
from vidcolor.serve.views import ROOT
from vidcolor.serve.words import result_name
from vidcolor.weights.catalog import MODELS

PICTURES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tif",
    "image/webp": ".webp",
}
MONTH = 30 * 24 * 3600


class Token(BaseModel):
    """What the address that the server printed ends with."""

    token: str = Field(max_length=200, examples=["Jx0u..."])


def _binary(*kinds: str) -> dict[str, Any]:
    content = {
        kind: {"schema": {"type": "string", "format": "binary"}, "example": "(bytes of the file)"}
        for kind in kinds
    }
    return {"requestBody": {"required": True, "content": content}}


def router(service: Service, guard: Guard) -> APIRouter:
    """The endpoints that are neither of uploads nor of jobs."""
    api = APIRouter(prefix=ROOT)

    @api.post(
        "/session",
        status_code=204,
        tags=["session"],
        responses={204: {"description": "The cookie is set"}, **refuses(401)},
    )
    async def enter(given: Token, request: Request) -> Response:
        """Exchange the token for a cookie that scripts cannot read."""
        if not guard.is_token(given.token):
            raise Refusal(401, "this is not the token; copy the address that the server printed")
        answer = Response(status_code=204)
        answer.set_cookie(
            COOKIE,
            service.token,
            max_age=MONTH,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @api.get("/session", status_code=204, tags=["session"], responses=refuses(401))
    async def inside(request: Request) -> Response:
        """Whether the cookie, or the token, is good."""
        if not guard.knows_token(request.headers):
            raise Refusal(401, "open the address that `vidcolor serve` printed")
        return Response(status_code=204)

    @api.delete("/session", status_code=204, tags=["session"])
    async def leave() -> Response:
        """Delete the cookie."""
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    @api.post(
        "/colorize",
        tags=["stills"],
        response_class=FileResponse,
        openapi_extra=_binary(*PICTURES),
        responses={
            200: shows("(the colored picture)", "The picture, colored", "image/png"),
            **refuses(401, 408, 413, 415, 422, 429, 503, 507),
        },
    )
    async def colorize(request: Request) -> Response:
        """Color one picture: bytes in, bytes out. Options of the command line in the query."""
        suffix = PICTURES.get(request.headers.get("content-type", "").split(";")[0].strip())
        if suffix is None:
            raise Refusal(415, f"send a picture as one of {', '.join(PICTURES)}")
        options = read_options(service.options, dict(request.query_params), "still", service)
        async with received(service, request, suffix) as folder:
            return await _color_still(service, request, folder, suffix, options)

    @api.post(
        "/is-grayscale",
        tags=["stills"],
        openapi_extra=_binary("image/*", "video/*"),
        responses={200: shows(examples.GRAYSCALE), **refuses(401, 404, 408, 409, 413, 422, 507)},
    )
    async def is_grayscale(request: Request) -> dict[str, Any]:
        """Whether a picture or film has color. Send its bytes, or as JSON `{"upload": ID}`."""
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        if kind == "application/json":
            found = await _look_at_upload(service, request)
        else:
            suffix = ".png" if kind.startswith("image/") and kind != "image/gif" else ""
            async with received(service, request, suffix) as folder:
                path = folder / f"source{suffix}"
                found = await service.look(path)
                if found["error"]:
                    raise VidcolorError(found["error"].replace(str(path), "the file"))
        return {
            "grayscale": found["color"] == "gray",
            "kind": found["color"],
            "chroma": found["chroma"],
            "spread": found["spread"],
        }

    @api.get("/models", tags=["server"], responses={200: shows(examples.MODELS)})
    async def models() -> dict[str, Any]:
        """All models, and which of them are on this machine."""
        here = models_here(service)
        listed = [
            {
                "name": model.name,
                "render_factor": model.render_factor,
                "at_hand": model.name in here,
                "license": model.license,
                "size": model.size,
            }
            for model in MODELS.values()
        ]
        return {"models": listed, "default": service.settings.model}

    @api.get("/options", tags=["server"], responses={200: shows({"options": [examples.OPTION]})})
    async def options() -> dict[str, Any]:
        """The options of a job: those of `vidcolor colorize`."""
        return {"options": described(service.options)}

    @api.get("/limits", tags=["server"], responses={200: shows(examples.LIMITS)})
    async def limits() -> dict[str, Any]:
        """What the server accepts."""
        own = service.settings.limits
        return {
            "upload_bytes": own.upload_bytes,
            "still_bytes": own.still_bytes,
            "queue": own.queue,
            "keep_days": own.keep / 86400,
            "free_bytes": max(0, service.place.free() - own.free_bytes),
            "films": sorted(FILMS),
            "stills": sorted(STILLS),
        }

    @api.get(
        "/health",
        tags=["server"],
        responses={200: shows(examples.HEALTH), 503: shows({"status": "starting"}, "Not ready")},
    )
    async def health() -> Response:
        """Ready when a generator is loaded. Needs no token."""
        ready = service.dispatcher.ready
        if ready:
            return JSONResponse({"status": "ready", "version": __version__, **ready})
        status = "ending" if service.closing.is_set() else "starting"
        answer: Mapping[str, Any] = {"status": status}
        if service.dispatcher.trouble:
            answer = {"status": "failing", "detail": service.dispatcher.trouble}
        return JSONResponse(answer, 503)

    @api.get(
        "/metrics",
        tags=["server"],
        response_class=PlainTextResponse,
        responses={200: shows("vidcolor_ready 1\n", "Prometheus text", "text/plain")},
    )
    async def metrics() -> Response:
        """Figures in the text format of Prometheus, which sends the token as Bearer."""
        return PlainTextResponse(metrics_text(service), media_type="text/plain; version=0.0.4")

    return api


@asynccontextmanager
async def received(service: Service, request: Request, suffix: str) -> AsyncIterator[Path]:
    """A folder with the body as `source`; it is removed if anything goes wrong.

    Whoever wants it to outlive the request moves it away.
    """
    limits = service.settings.limits
    folder = service.place.scratch / new_id()
    folder.mkdir(0o700)
    try:
        with (folder / f"source{suffix}").open("wb") as file:
            async for block in blocks(request, limits.still_bytes, limits.patience):
                service.uploads.check_disk(len(block))
                await asyncio.to_thread(file.write, block)
        yield folder
    except Cut:
        raise Refusal(400, "the body was cut") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _color_still(
    service: Service, request: Request, folder: Path, suffix: str, options: dict[str, Any]
) -> Response:
    """Let the worker color the picture in `folder`; the answer is sent from the job's folder."""
    path = folder / f"source{suffix}"
    found = await service.look(path)
    if found["error"]:
        raise VidcolorError(found["error"].replace(str(path), "the picture"))
    job = service.jobs.add(
        Job(
            id=new_id(),
            upload="",
            kind="still",
            name="the picture",
            result_name=result_name("picture", suffix),
            source=str(path),
            suffix=suffix,
            options=options,
        )
    )
    kept = False
    try:
        service.dispatcher.submit(job)
        await until_ended(service, job, LONGEST_WAIT)
        if job.state == "failed":
            raise VidcolorError(job.error)
        if job.state != "done":
            raise Refusal(503, "the server is too busy; try again later", {"Retry-After": "60"})
        answer = file_answer(request, job.path, job.result_name)
        # Read after this function has returned; the job goes when it is sent.
        answer.background = BackgroundTask(service.remove_job, job.id)
        kept = True
        return answer
    finally:
        if not kept:
            if job.unfinished:
                service.dispatcher.cancel(job)
            service.remove_job(job.id)


async def _look_at_upload(service: Service, request: Request) -> dict[str, Any]:
    body = bytearray()
    async for block in blocks(request, SMALL, service.settings.limits.patience):
        body += block
    try:
        upload = service.uploads.get(str(json.loads(body)["upload"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(400, 'send {"upload": ID}') from None
    if not upload.complete:
        raise Refusal(409, "the upload is not complete yet; send the rest first")
    found = await service.look_at(upload)
    if found["error"]:
        raise VidcolorError(found["error"])
    return found
