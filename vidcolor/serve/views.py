"""What clients see of uploads, jobs and contact sheets: their JSON."""

from typing import TYPE_CHECKING, Any

from vidcolor.serve.jobs import LiveJob, stamp
from vidcolor.serve.uploads import Upload, UploadStore

if TYPE_CHECKING:
    from vidcolor.serve.dispatch import Dispatcher

ROOT = "/api/v1"

LOOKED = (
    *("kind", "width", "height", "seconds", "frames", "frame_rate", "codec", "container", "color"),
    *("chroma", "error"),
)


def upload_view(upload: Upload, uploads: UploadStore) -> dict[str, Any]:
    """An upload."""
    look = upload.look
    return {
        "id": upload.id,
        "name": upload.name,
        "length": upload.length,
        "offset": upload.offset,
        "complete": upload.complete,
        "created": stamp(upload.created),
        "expires": stamp(uploads.expires(upload)),
        "film": None if look is None else {name: look.get(name) for name in LOOKED},
    }


def view(job: LiveJob, dispatcher: "Dispatcher") -> dict[str, Any]:
    """A job, or a contact sheet."""
    return sheet_view(job) if job.kind == "sheet" else job_view(job, dispatcher)


def job_view(job: LiveJob, dispatcher: "Dispatcher") -> dict[str, Any]:
    """A job."""
    done = job.state == "done"
    return {
        "id": job.id,
        "upload": job.upload,
        "name": job.name,
        "result_name": job.result_name,
        "kind": job.kind,
        "options": job.given,
        "state": job.state,
        "position": dispatcher.position(job),
        "done": job.done,
        "total": job.total,
        "fps": job.fps,
        "seconds_left": job.seconds_left,
        "seconds": round(job.seconds, 1),
        "kept": job.kept,
        "stage": job.stage,
        "notes": list(job.notes),
        "warnings": list(job.warnings),
        "error": job.error,
        "preview": job.preview,
        "created": stamp(job.created),
        "started": stamp(job.started),
        "ended": stamp(job.ended),
        "expires": stamp(dispatcher.jobs.expires(job)),
        "result": f"{ROOT}/jobs/{job.id}/result" if done else None,
        "bytes": job.path.stat().st_size if done and job.path.is_file() else None,
        "source": f"{ROOT}/uploads/{job.upload}/content" if dispatcher.has(job.upload) else None,
    }


def sheet_view(job: LiveJob) -> dict[str, Any]:
    """A contact sheet."""
    cells = {tuple(cell) for cell in job.cells}
    address = f"{ROOT}/previews/{job.id}/cells"
    return {
        "id": job.id,
        "upload": job.upload,
        "name": job.name,
        "state": job.state,
        "error": job.error,
        "rows": [
            {**row, "gray": f"{address}/{number}-0.webp"} for number, row in enumerate(job.rows)
        ],
        "columns": [
            {
                "model": model,
                "render_factor": factor,
                "label": f"{model}, render factor {factor}",
                "cells": [
                    f"{address}/{row}-{column + 1}.webp" if (row, column) in cells else None
                    for row in range(len(job.rows))
                ],
            }
            for column, (model, factor) in enumerate(job.columns)
        ],
    }
