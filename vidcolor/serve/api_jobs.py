"""Jobs: made, followed, shown, fetched, canceled. Contact sheets likewise."""

import asyncio
import re
from collections.abc import AsyncIterable
from contextlib import suppress
from io import BytesIO
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, JSONResponse

from vidcolor.serve.answers import file_answer, picture_answer
from vidcolor.serve.examples import ID, JOB, SHEET, STREAM, refuses, shows
from vidcolor.serve.jobs import LiveJob
from vidcolor.serve.making import make_job, make_sheet
from vidcolor.serve.moments import picture_at
from vidcolor.serve.service import Service
from vidcolor.serve.streams import check_listeners, last_id, of_all, of_job
from vidcolor.serve.uploads import Refusal
from vidcolor.serve.views import ROOT, job_view, sheet_view

USUAL_WAIT = 30.0
LONGEST_WAIT = 120.0
"""Seconds that a request waits for a still."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Value = bool | int | Number | Annotated[str, Field(max_length=200)] | None


class JobRequest(BaseModel):
    """What to color, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"upload": ID, "options": {"model": "lite", "render_factor": 12}}]
        },
    )
    upload: str = Field(max_length=64)
    options: dict[Annotated[str, Field(max_length=40)], Value] = Field(default={}, max_length=40)


class SheetRequest(BaseModel):
    """Of what to make a contact sheet, and with which columns."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"upload": ID, "models": ["lite"], "render_factors": [8, 12, 21]}]
        },
    )
    upload: str = Field(max_length=64)
    models: list[Annotated[str, Field(max_length=40)]] | None = Field(default=None, max_length=12)
    render_factors: list[int] | None = Field(default=None, max_length=12)
    times: list[Annotated[float, Field(ge=0, lt=1e6)]] | None = Field(default=None, max_length=4)


def router(service: Service) -> APIRouter:
    """The endpoints under /jobs and /events."""
    api = APIRouter(prefix=ROOT, tags=["jobs"])
    dispatcher = service.dispatcher

    def a_job(id: str) -> LiveJob:
        return service.jobs.get(id)

    def listener(request: Request, id: str) -> tuple[LiveJob, int]:
        job = service.jobs.get(id)
        check_listeners(service)
        return job, last_id(request)

    def any_listener(request: Request) -> int:
        check_listeners(service)
        return last_id(request)

    @api.post(
        "/jobs",
        status_code=202,
        responses={
            202: shows(JOB, "Taken"),
            200: shows({**JOB, "state": "done"}, "A still that is done already"),
            **refuses(401, 404, 409, 422, 429, 507),
        },
    )
    async def make(
        wanted: JobRequest,
        idempotency_key: Annotated[str | None, Header()] = None,
        prefer: Annotated[str, Header()] = "",
    ) -> Response:
        """Color an upload. The options are those of `vidcolor colorize`, with _ for -.

        With the same `Idempotency-Key`, the same request gives the same job again. A still is
        waited for, some seconds, unless `Prefer: respond-async` or `Prefer: wait=SECONDS` is sent.
        """
        job = await make_job(service, wanted.upload, wanted.options, idempotency_key)
        await service.place.disk.done()
        wait = wait_of(prefer) if job.kind == "still" else 0.0
        await until_ended(service, job, wait)
        headers = {"Location": f"{ROOT}/jobs/{job.id}"}
        status = 200 if wait and not job.unfinished else 202
        return JSONResponse(job_view(job, dispatcher), status, headers)

    @api.get("/jobs", responses={200: shows({"jobs": [JOB]})})
    async def every() -> dict[str, Any]:
        """All jobs, the newest first."""
        jobs = [job for job in service.jobs if job.kind != "sheet" and job.upload]
        return {"jobs": [job_view(job, dispatcher) for job in reversed(jobs)]}

    @api.get("/jobs/{id}", responses={200: shows(JOB), **refuses(404)})
    async def one(job: Annotated[LiveJob, Depends(a_job)]) -> dict[str, Any]:
        """A job."""
        return job_view(job, dispatcher)

    @api.delete(
        "/jobs/{id}",
        responses={
            200: shows({**JOB, "state": "canceled"}, "Canceled"),
            204: {"description": "A finished job is deleted, with its result"},
            **refuses(404),
        },
    )
    async def cancel(job: Annotated[LiveJob, Depends(a_job)]) -> Response:
        """Cancel a job; delete one that has ended."""
        if job.unfinished:
            dispatcher.cancel(job)
            return JSONResponse(job_view(job, dispatcher))
        service.remove_job(job.id)
        await service.place.disk.done()
        return Response(status_code=204)

    @api.get(
        "/jobs/{id}/events",
        response_class=EventSourceResponse,
        responses={200: shows(STREAM, "A stream", "text/event-stream"), **refuses(404, 503)},
    )
    async def events(
        found: Annotated[tuple[LiveJob, int], Depends(listener)],
    ) -> AsyncIterable[ServerSentEvent]:
        """Server-sent events of a job: `state`, `progress`, `note`, `warning`, and `end`.

        With `Last-Event-ID`, what came after that; of the progress, the latest alone.
        """
        async for event in of_job(service, *found):
            yield event

    @api.get(
        "/events",
        response_class=EventSourceResponse,
        responses={
            200: shows(STREAM.replace("progress", "job"), "A stream", "text/event-stream"),
            **refuses(503),
        },
    )
    async def all_events(
        last: Annotated[int, Depends(any_listener)],
    ) -> AsyncIterable[ServerSentEvent]:
        """Server-sent events of all jobs: `job` at every change, `gone` for one that is deleted."""
        async for event in of_all(service, last):
            yield event

    @api.api_route(
        "/jobs/{id}/result",
        methods=["GET", "HEAD"],
        response_class=FileResponse,
        responses={200: shows("(the film)", kind="video/mp4"), **refuses(404, 409)},
    )
    async def result(job: Annotated[LiveJob, Depends(a_job)], request: Request) -> Response:
        """The colored film or still, with Range."""
        if job.state != "done":
            raise Refusal(409, f"the job is {job.state}; there is no result")
        return file_answer(request, job.path, job.result_name)

    @api.get(
        "/jobs/{id}/preview",
        response_class=FileResponse,
        responses={200: shows("(a picture)", kind="image/webp"), **refuses(404, 409)},
    )
    async def preview(
        job: Annotated[LiveJob, Depends(a_job)],
        side: Literal["before", "after"] = "after",
        format: Literal["webp", "png"] = "webp",
        at: Annotated[float | None, Query(ge=0, lt=1e6)] = None,
    ) -> Response:
        """The frame in hand, as it was or as it is colored; of a finished film, the last one.

        `at=SECONDS`: the frame of a finished film at that time, always as PNG.
        """
        if at is not None:
            picture = await picture_at(service, job, side, at)
            return Response(picture, media_type="image/png")
        path = job.folder / f"{side}.webp"
        if job.state == "canceled":
            raise Refusal(404, "the job was canceled; there is no picture")
        if format == "webp" or not path.is_file():
            return picture_answer(path)
        return Response(await asyncio.to_thread(_as_png, path), media_type="image/png")

    return api


def sheets_router(service: Service) -> APIRouter:
    """The endpoints under /previews."""
    api = APIRouter(prefix=f"{ROOT}/previews", tags=["contact sheets"])

    def a_sheet(id: str) -> LiveJob:
        return service.jobs.get(id, sheet=True)

    def listener(request: Request, id: str) -> tuple[LiveJob, int]:
        sheet = service.jobs.get(id, sheet=True)
        check_listeners(service)
        return sheet, last_id(request)

    @api.post(
        "", status_code=202, responses={202: shows(SHEET, "Taken"), **refuses(404, 409, 422, 429)}
    )
    async def make(wanted: SheetRequest) -> Response:
        """Color a few frames of an upload by several models and render factors."""
        sheet = await make_sheet(
            service, wanted.upload, wanted.models, wanted.render_factors, wanted.times
        )
        headers = {"Location": f"{ROOT}/previews/{sheet.id}"}
        return JSONResponse(sheet_view(sheet), 202, headers)

    @api.get("/{id}", responses={200: shows(SHEET), **refuses(404)})
    async def one(sheet: Annotated[LiveJob, Depends(a_sheet)]) -> dict[str, Any]:
        """A contact sheet, as far as it is made."""
        return sheet_view(sheet)

    @api.get(
        "/{id}/events",
        response_class=EventSourceResponse,
        responses={
            200: shows(STREAM.replace("progress", "state"), "A stream", "text/event-stream"),
            **refuses(404, 503),
        },
    )
    async def events(
        found: Annotated[tuple[LiveJob, int], Depends(listener)],
    ) -> AsyncIterable[ServerSentEvent]:
        """Server-sent events: `state` at every cell, and `end`."""
        async for event in of_job(service, *found):
            yield event

    @api.get(
        "/{id}/cells/{cell}",
        response_class=FileResponse,
        responses={200: shows("(a picture)", kind="image/webp"), **refuses(404)},
    )
    async def picture(sheet: Annotated[LiveJob, Depends(a_sheet)], cell: str) -> Response:
        """One picture: `ROW-COLUMN.webp`; column 0 is the gray frame."""
        if not re.fullmatch(r"\d{1,2}-\d{1,2}\.webp", cell, re.ASCII):
            raise Refusal(404, "there is no such picture")
        return picture_answer(sheet.folder / cell)

    @api.delete("/{id}", status_code=204, responses=refuses(404))
    async def delete(sheet: Annotated[LiveJob, Depends(a_sheet)]) -> Response:
        """Delete a contact sheet; one in hand is given up."""
        if sheet.unfinished:
            dispatcher = service.dispatcher
            dispatcher.cancel(sheet)
        service.remove_job(sheet.id)
        await service.place.disk.done()
        return Response(status_code=204)

    return api


def wait_of(prefer: str) -> float:
    """Seconds to wait, from the header Prefer (RFC 7240)."""
    wishes = [wish.strip().lower() for wish in prefer.split(",")]
    for wish in wishes:
        match = re.fullmatch(r"wait=(\d{1,6})", wish, re.ASCII)
        if match:
            return min(float(match[1]), LONGEST_WAIT)
    return 0.0 if "respond-async" in wishes else USUAL_WAIT


async def until_ended(service: Service, job: LiveJob, seconds: float) -> None:
    """Wait until the job has ended, for so long at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for _ in job.feed.listen(0, service.closing):
                if not job.unfinished:
                    return


def _as_png(path: Any) -> bytes:
    made = BytesIO()
    with Image.open(path) as picture:
        picture.save(made, "PNG")
    return made.getvalue()
