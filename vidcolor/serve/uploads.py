"""Uploads on disk: each in a folder of its own, as long as what has arrived."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, field_validator

from vidcolor.serve.place import Moment, Place, new_id, passed_over, read_records
from vidcolor.serve.settings import Limits
from vidcolor.serve.words import shown, suffix_of

RECORD = "upload.json"


class Refusal(Exception):
    """A request that is not carried out: an HTTP status and one line."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


@dataclass
class Upload:
    """A file that a client sends, or has sent."""

    id: str
    name: str
    """The client's, only to be shown."""
    length: int
    suffix: str
    created: float
    touched: float
    folder: Path
    look: dict[str, Any] | None = None
    """What was found in it, once it is complete."""
    stop: asyncio.Event | None = field(default=None, compare=False)
    """While a request writes to it: ends that request."""

    @property
    def path(self) -> Path:
        return self.folder / f"source{self.suffix}"

    @property
    def offset(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size

    @property
    def complete(self) -> bool:
        return self.offset == self.length

    @property
    def latest(self) -> float:
        """Unix time when bytes arrived, or a job was made of it."""
        return max(self.touched, self.path.stat().st_mtime)

    def record(self) -> dict[str, Any]:
        """What is kept of it beside the file."""
        names = ("name", "length", "suffix", "created", "touched", "look")
        return {name: getattr(self, name) for name in names}


class _Record(BaseModel):
    """What is kept of an upload beside its file."""

    name: str
    length: int = Field(ge=0)
    suffix: str
    created: Moment
    touched: Moment
    look: dict[str, Any] | None

    @field_validator("suffix")
    @classmethod
    def _is_known(cls, suffix: str) -> str:
        if suffix != suffix_of(f"film{suffix}"):
            raise ValueError("no suffix of a film or still")
        return suffix


class UploadStore:
    """All uploads of a server."""

    def __init__(self, place: Place, limits: Limits):
        self.place = place
        self.limits = limits
        self._uploads: dict[str, Upload] = {}
        for folder, record in read_records(place.uploads, RECORD):
            try:
                kept = _Record.model_validate(record)
            except ValidationError as error:
                passed_over(folder, error)
                continue
            upload = Upload(id=folder.name, folder=folder, **dict(kept))
            if upload.path.is_file():
                self._uploads[upload.id] = upload

    def __iter__(self) -> Iterator[Upload]:
        return iter(list(self._uploads.values()))

    def __len__(self) -> int:
        return len(self._uploads)

    def get(self, id: str) -> Upload:
        """Raises Refusal (404) for one that is not there."""
        try:
            return self._uploads[id]
        except KeyError:
            raise Refusal(404, "there is no such upload; it may have expired") from None

    def find(self, id: str) -> Upload | None:
        """The upload, or None."""
        return self._uploads.get(id)

    def create(self, name: str, length: int) -> Upload:
        """Raises Refusal where it is too large, or there is no room."""
        limits = self.limits
        if length > limits.upload_bytes:
            raise Refusal(
                413, f"the file has {length} bytes; this server takes {limits.upload_bytes} at most"
            )
        if len(self) >= limits.uploads:
            raise Refusal(
                429, "there are too many uploads; delete some", headers={"Retry-After": "60"}
            )
        if self.declared + length > limits.uploads_bytes:
            raise Refusal(507, "all uploads together would be too large; delete some")
        self.check_disk(self.missing + length)
        now = time.time()
        id = new_id()
        folder = self.place.uploads / id
        folder.mkdir(0o700)
        upload = Upload(id, shown(name), length, suffix_of(name), now, now, folder)
        os.close(os.open(upload.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self.save(upload)
        self._uploads[id] = upload
        return upload

    def save(self, upload: Upload) -> None:
        """Write its record."""
        self.place.disk.write(upload.folder / RECORD, upload.record())

    def remove(self, upload: Upload) -> None:
        """Delete it with its file."""
        self._uploads.pop(upload.id, None)
        self.place.disk.remove(upload.folder)

    def check_disk(self, wanted: int) -> None:
        """Raises Refusal (507) where so many bytes more would leave too little free."""
        if self.place.free() - wanted < self.limits.free_bytes:
            raise Refusal(507, "the server's disk is full; free some space there and try again")

    @property
    def declared(self) -> int:
        """Bytes of all uploads when they are complete."""
        return sum(upload.length for upload in self)

    @property
    def missing(self) -> int:
        """Bytes that have been declared and have not arrived."""
        return sum(upload.length - upload.offset for upload in self)

    def expires(self, upload: Upload) -> float:
        """Unix time from which on it may be deleted."""
        keep = self.limits.keep if upload.complete else self.limits.keep_unfinished
        return upload.latest + keep
