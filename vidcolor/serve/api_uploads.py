"""Resumable uploads: tus 1.0.0 with creation, termination and expiration."""

import asyncio
import base64
import binascii
import os
import time
from email.utils import formatdate
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse

from vidcolor.serve.answers import file_answer
from vidcolor.serve.body import Cut, blocks
from vidcolor.serve.examples import UPLOAD, refuses, shows
from vidcolor.serve.service import Service
from vidcolor.serve.uploads import Refusal, Upload
from vidcolor.serve.views import ROOT, upload_view
from vidcolor.serve.words import base

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
TUS = {"Tus-Resumable": VERSION}

RELEASED_WITHIN = 5.0
"""Seconds for a request of which nothing comes any more to let another one go on."""


def router(service: Service) -> APIRouter:
    """The endpoints under /uploads."""
    api = APIRouter(prefix=f"{ROOT}/uploads", tags=["uploads"])

    def get(id: str) -> Upload:
        return service.uploads.get(id)

    def expires(upload: Upload) -> dict[str, str]:
        return {"Upload-Expires": formatdate(service.uploads.expires(upload), usegmt=True)}

    @api.options("", status_code=204, responses={204: {"description": "What of tus is spoken"}})
    async def capabilities() -> Response:
        """What of tus 1.0.0 this server speaks, and how large a file may be."""
        size = str(service.settings.limits.upload_bytes)
        headers = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": size}
        return Response(status_code=204, headers={**TUS, **headers})

    @api.post(
        "",
        status_code=201,
        responses={
            201: {
                "description": "Made",
                "headers": {
                    "Location": {"description": "Its address", "example": f"{ROOT}/uploads/q8Zt..."}
                },
            },
            **refuses(401, 412, 413, 429, 507),
        },
    )
    async def create(request: Request) -> Response:
        """Begin an upload: `Upload-Length` in bytes, and in `Upload-Metadata` the file's name.

        The name is only shown; the server has names of its own for files.
        """
        _check_version(request)
        length = _number(request, "upload-length")
        upload = service.uploads.create(_file_name(request), length)
        await service.place.disk.done()
        headers = {"Location": f"{ROOT}/uploads/{upload.id}", **expires(upload)}
        return Response(status_code=201, headers={**TUS, **headers})

    @api.get("", responses={200: shows({"uploads": [UPLOAD]})})
    async def every() -> dict[str, Any]:
        """All uploads, the newest first."""
        uploads = sorted(service.uploads, key=lambda upload: -upload.created)
        return {"uploads": [upload_view(upload, service.uploads) for upload in uploads]}

    @api.head("/{id}", responses=refuses(404, 412))
    async def state(id: str, request: Request) -> Response:
        """How much has arrived: `Upload-Offset`."""
        _check_version(request)
        await _released(get(id))
        upload = get(id)
        name = base64.b64encode(upload.name.encode()).decode()
        headers = {
            "Upload-Offset": str(upload.offset),
            "Upload-Length": str(upload.length),
            "Upload-Metadata": f"filename {name}",
            "Cache-Control": "no-store",
        }
        return Response(status_code=200, headers={**TUS, **headers, **expires(upload)})

    @api.get("/{id}", responses={200: shows(UPLOAD), **refuses(404)})
    async def one(id: str) -> dict[str, Any]:
        """An upload; once it is complete, with what was found in it."""
        upload = get(id)
        if upload.complete:
            await service.look_at(upload)
        return upload_view(get(id), service.uploads)

    @api.patch(
        "/{id}",
        status_code=204,
        responses={
            204: {"description": "Taken"},
            **refuses(404, 408, 409, 412, 413, 415, 423, 507),
        },
        openapi_extra={
            "requestBody": {
                "content": {
                    "application/offset+octet-stream": {
                        "schema": {"type": "string", "format": "binary"},
                        "example": "(bytes of the file from Upload-Offset on)",
                    }
                }
            }
        },
    )
    async def receive(id: str, request: Request) -> Response:
        """Send bytes from `Upload-Offset` on. What has arrived before a cut stays."""
        _check_version(request)
        if request.headers.get("content-type") != "application/offset+octet-stream":
            raise Refusal(415, "send the bytes as application/offset+octet-stream", TUS)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refusal(415, "send the bytes as they are, without Content-Encoding", TUS)
        offset = _number(request, "upload-offset")
        await _released(get(id))
        upload = get(id)
        if offset != upload.offset:
            raise Refusal(409, f"{upload.offset} bytes have arrived; go on from there", TUS)
        await _write(request, upload, offset, service)
        headers = {"Upload-Offset": str(upload.offset), **expires(upload)}
        return Response(status_code=204, headers={**TUS, **headers})

    @api.delete("/{id}", status_code=204, responses=refuses(404, 409, 412))
    async def delete(id: str, request: Request) -> Response:
        """Delete an upload."""
        _check_version(request)
        upload = get(id)
        if service.jobs.uses(id):
            raise Refusal(409, "a job still needs this upload; cancel the job first", TUS)
        await _released(upload)
        service.uploads.remove(upload)
        await service.place.disk.done()
        return Response(status_code=204, headers=TUS)

    @api.api_route(
        "/{id}/content",
        methods=["GET", "HEAD"],
        response_class=FileResponse,
        responses={200: shows("(the file)", kind="video/mp4"), **refuses(404, 409)},
    )
    async def content(id: str, request: Request) -> Response:
        """The file itself, with Range, to be shown beside the result."""
        upload = get(id)
        if not upload.complete:
            raise Refusal(409, "the upload is not complete yet")
        return file_answer(request, upload.path, base(upload.name))

    return api


async def _write(request: Request, upload: Upload, offset: int, service: Service) -> None:
    """Put the body behind what is there."""
    stop = upload.stop = asyncio.Event()
    file = os.open(upload.path, os.O_WRONLY | os.O_NOFOLLOW)
    most, patience = upload.length - offset, service.settings.limits.patience
    try:
        async for block in blocks(request, most, patience, stop):
            service.uploads.check_disk(len(block))
            await asyncio.to_thread(_write_all, file, block, offset)
            offset += len(block)
            service.received += len(block)
        if offset == upload.length:
            await asyncio.to_thread(os.fsync, file)
    except Cut:
        raise Refusal(409, "the body was cut; go on with another request", TUS) from None
    finally:
        # Not awaited: nobody may come between this and the next request's look at the offset.
        os.close(file)
        upload.stop = None


def _write_all(file: int, block: bytes, offset: int) -> None:
    view = memoryview(block)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


async def _released(upload: Upload) -> None:
    """End another request that writes, which may hang on a connection that is gone."""
    deadline = time.monotonic() + RELEASED_WITHIN
    while upload.stop is not None and not upload.complete:
        upload.stop.set()
        await asyncio.sleep(0.02)
        if time.monotonic() > deadline:
            raise Refusal(423, "another request still writes; try again in a moment", TUS)


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise Refusal(
            412,
            f"uploads are sent by tus {VERSION}; add the header Tus-Resumable",
            {**TUS, "Tus-Version": VERSION},
        )


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Refusal(400, f"the header {name.title()} must be a number of bytes", TUS)
    return int(text)


def _file_name(request: Request) -> str:
    """From Upload-Metadata: pairs of a key and, in Base64, a value."""
    for pair in request.headers.get("upload-metadata", "").split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "filename":
            try:
                return base64.b64decode(value, validate=True).decode()
            except (binascii.Error, ValueError):
                raise Refusal(400, "the file's name is not Base64 of UTF-8", TUS) from None
    return ""
