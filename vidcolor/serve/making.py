"""From a request to a job: the upload, the options, the name of the result."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from vidcolor.errors import VidcolorError
from vidcolor.inference.settings import RENDER_FACTORS
from vidcolor.serve.jobs import Job, LiveJob, new_id
from vidcolor.serve.options import (
    ENCODING,
    check_model,
    models_here,
    read_options,
    result_suffix,
)
from vidcolor.serve.service import Service
from vidcolor.serve.uploads import Refusal, Upload
from vidcolor.serve.words import result_name
from vidcolor.weights.catalog import MODELS

MOST_ROWS, MOST_COLUMNS = 4, 12
LONGEST_KEY = 255

_making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


async def make_job(
    service: Service, upload_id: str, given: Mapping[str, Any], key: str | None
) -> LiveJob:
    """Take in a job. Raises Refusal and VidcolorError.

    key: the same one with the same request gives the same job again.
    """
    if key is None:
        return await _make_job(service, upload_id, given, None, None)
    if not 0 < len(key) <= LONGEST_KEY:
        raise Refusal(400, f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
    request = digest(json.dumps([upload_id, given], sort_keys=True))
    key = digest(key)
    async with _making.setdefault(key, asyncio.Lock()):
        before = service.jobs.with_key(key)
        if before is None:
            return await _make_job(service, upload_id, given, key, request)
        if before.request != request:
            raise Refusal(422, "this Idempotency-Key came with another request; use a new one")
        return before


async def _make_job(
    service: Service,
    upload_id: str,
    given: Mapping[str, Any],
    key: str | None,
    request: str | None,
) -> LiveJob:
    upload = service.uploads.get(upload_id)
    kind = await _kind(service, upload)
    others = {name: value for name, value in given.items() if name != "format"}
    options = read_options(service.options, others, kind, service)
    suffix = result_suffix(given.get("format"), kind, upload.path)
    job = Job(
        id=new_id(),
        upload=upload.id,
        kind=kind,
        name=upload.name,
        result_name=result_name(upload.name, suffix),
        source=str(upload.path),
        suffix=suffix,
        given=dict(given),
        options=options,
        key=key,
        request=request,
    )
    if any(given.get(name) for name in ENCODING):
        found = await service.look(upload.path, options, Path(job.result_name))
        if found["error"]:
            raise VidcolorError(service.plain(found["error"], upload))
    return _take(service, upload, job)


async def make_sheet(
    service: Service,
    upload_id: str,
    models: list[str] | None,
    factors: list[int] | None,
    times: list[float] | None,
) -> LiveJob:
    """Take in a contact sheet. Raises Refusal and VidcolorError."""
    upload = service.uploads.get(upload_id)
    kind = await _kind(service, upload)
    columns = []
    for model in models or models_here(service):
        check_model(model, service)
        columns += [[model, factor] for factor in factors or usual_factors(model)]
    for _, factor in columns:
        if factor not in RENDER_FACTORS:
            low, high = RENDER_FACTORS.start, RENDER_FACTORS.stop - 1
            raise VidcolorError(f"{factor} is not in the range {low} to {high}")
    if kind == "still" and times:
        raise VidcolorError("--at has no effect on a still; leave it out")
    if len(columns) > MOST_COLUMNS or len(times or ()) > MOST_ROWS:
        raise VidcolorError(
            f"a contact sheet has at most {MOST_ROWS} times and {MOST_COLUMNS} columns"
        )
    job = Job(
        id=new_id(),
        upload=upload.id,
        kind="sheet",
        name=upload.name,
        source=str(upload.path),
        columns=columns,
        times=times,
    )
    return _take(service, upload, job)


def usual_factors(model: str) -> list[int]:
    """The model's own render factor, a smaller and a larger one."""
    own = MODELS[model].render_factor
    low, high = RENDER_FACTORS.start, RENDER_FACTORS.stop - 1
    return sorted({max(low, round(own * 2 / 3)), own, min(high, round(own * 5 / 3))})


def digest(text: str) -> str:
    """What is kept of a client's text that is only compared."""
    return hashlib.sha256(text.encode()).hexdigest()


async def _kind(service: Service, upload: Upload) -> Any:
    if not upload.complete:
        raise Refusal(409, "the upload is not complete yet; send the rest first")
    found = await service.look_at(upload)
    if found["error"]:
        raise VidcolorError(found["error"])
    return found["kind"]


def _take(service: Service, upload: Upload, job: Job) -> LiveJob:
    service.uploads.get(upload.id)  # deleted meanwhile?
    service.uploads.check_disk(upload.length)
    live = service.jobs.add(job)
    upload.touched = time.time()
    service.uploads.save(upload)
    service.dispatcher.submit(live)
    return live
