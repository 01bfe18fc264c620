"""Files as answers: with Range, to be saved, under a type that no browser runs."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse

from vidcolor.serve.uploads import Refusal
from vidcolor.serve.words import attachment, media_type

MOST_RANGES = 8


def file_answer(request: Request, path: Path, name: str) -> FileResponse:
    """The file at `path`, which browsers save as `name`."""
    if request.headers.get("range", "").count(",") >= MOST_RANGES:
        raise Refusal(416, f"at most {MOST_RANGES} ranges are sent at once")
    if not path.is_file():
        raise Refusal(404, "the file is gone; it may have expired")
    headers = {"Content-Disposition": attachment(name), "Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type=media_type(path.suffix), headers=headers)


def picture_answer(path: Path) -> FileResponse:
    """A small picture of the server's own making."""
    if not path.is_file():
        raise Refusal(404, "there is no picture yet")
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type=media_type(path.suffix), headers=headers)
