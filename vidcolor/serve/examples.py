"""Examples of what is sent and answered, for the API's own documentation."""

from typing import Any

ID = "q8Zt1fY0SgmWn2cKx3RVbA"
OTHER = "J5mKz0eVRt6sYc1uPq9wLg"

ERROR = {"detail": "Invalid value for '--hue': 200.0 is not in the range -180<=x<=180."}
FILM = {
    "kind": "film",
    "width": 640,
    "height": 480,
    "seconds": 12.3,
    "frames": 307,
    "frame_rate": 25.0,
    "codec": "h264",
    "container": "mov",
    "color": "gray",
    "chroma": 0.4,
    "error": None,
}
UPLOAD = {
    "id": ID,
    "name": "reel 1/a.mp4",
    "length": 1000,
    "offset": 1000,
    "complete": True,
    "created": "2026-11-21T18:50:00Z",
    "expires": "2026-11-28T18:50:00Z",
    "film": FILM,
}
JOB = {
    "id": OTHER,
    "upload": ID,
    "name": "reel 1/a.mp4",
    "result_name": "a.color.mp4",
    "kind": "film",
    "options": {"render_factor": 12},
    "state": "running",
    "position": None,
    "done": 120,
    "total": 307,
    "fps": 12.5,
    "seconds_left": 15.0,
    "seconds": 10.2,
    "kept": 0,
    "stage": "coloring",
    "notes": ["lite on CPU, float32, render factor 12"],
    "warnings": [],
    "error": None,
    "preview": 9,
    "created": "2026-11-21T18:51:00Z",
    "started": "2026-11-21T18:51:00Z",
    "ended": None,
    "expires": None,
    "result": None,
    "bytes": None,
    "source": f"/api/v1/uploads/{ID}/content",
}
SHEET = {
    "id": OTHER,
    "upload": ID,
    "name": "reel 1/a.mp4",
    "state": "running",
    "error": None,
    "rows": [
        {"label": "0:01.84", "time": 1.84, "gray": f"/api/v1/previews/{OTHER}/cells/0-0.webp"}
    ],
    "columns": [
        {
            "model": "lite",
            "render_factor": 12,
            "label": "lite, render factor 12",
            "cells": [f"/api/v1/previews/{OTHER}/cells/0-1.webp"],
        },
        {
            "model": "lite",
            "render_factor": 21,
            "label": "lite, render factor 21",
            "cells": [None],
        },
    ],
}
GRAYSCALE = {"grayscale": True, "kind": "gray", "chroma": 0.4, "spread": 0.2}
MODELS = {
    "models": [
        {"name": "lite", "render_factor": 12, "at_hand": True, "license": "MIT", "size": None}
    ],
    "default": "lite",
}
HEALTH = {"status": "ready", "version": "0.1.0", "model": "lite", "device": "cpu"}
LIMITS = {
    "upload_bytes": 68719476736,
    "still_bytes": 268435456,
    "queue": 100,
    "keep_days": 7.0,
    "free_bytes": 120000000000,
    "films": [".avi", ".mkv", ".mp4"],
    "stills": [".jpg", ".png"],
}
OPTION = {
    "name": "hue",
    "flag": "--hue",
    "help": "Rotate the hue by so many degrees.",
    "type": "number",
    "choices": None,
    "minimum": -180,
    "maximum": 180,
    "default": 0.0,
    "films_only": False,
}
STREAM = (
    'event: progress\ndata: {"done": 120, "total": 307, "fps": 12.5, "seconds_left": 15.0}\n'
    "id: 1795288301017\n\n"
)


def shows(example: Any, description: str = "Done", kind: str = "application/json") -> dict:
    """An answer in the documentation."""
    return {"description": description, "content": {kind: {"example": example}}}


def refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals in the documentation."""
    return {status: shows(ERROR, REASONS[status]) for status in statuses}


REASONS = {
    401: "The token is missing or wrong",
    404: "There is no such thing, or it has expired",
    408: "The body came too slowly",
    409: "Not in this state",
    411: "The length is missing",
    412: "Another version of tus",
    413: "Too large",
    415: "Another type of content",
    422: "An option, or the file, is refused",
    423: "Another request writes to the same upload",
    429: "Too many",
    503: "Not ready, or too busy",
    507: "No room",
}
