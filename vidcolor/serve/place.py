"""The server's folder on disk: private, locked, with everything under names of its own."""

import asyncio
import json
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout
from pydantic import Field

from vidcolor.errors import VidcolorError

log = logging.getLogger(__name__)

ID = re.compile(r"[A-Za-z0-9_-]{22}")
"""128 random bits: nobody guesses another one's."""

Moment = Annotated[float, Field(ge=0, lt=1e11)]
"""Unix time in a record."""

PATIENCE = 2.0
"""Seconds to wait for the server before this one to end."""


class ServeError(VidcolorError):
    """The server cannot start or go on."""


def new_id() -> str:
    """A name that no client chooses or guesses."""
    return secrets.token_urlsafe(16)


class Place:
    """The folder, with its token.

    path: made where it is missing, readable by this user alone.
    Raises ServeError where it cannot be used.
    """

    def __init__(self, path: Path):
        self.path = path.absolute()
        self.uploads = self.path / "uploads"
        self.jobs = self.path / "jobs"
        self.scratch = self.path / "scratch"
        self.disk = Disk()
        try:
            for folder in (self.path, self.uploads, self.jobs, self.scratch):
                folder.mkdir(0o700, parents=True, exist_ok=True)
                _check_own(folder)
        except OSError as error:
            raise ServeError(
                f"cannot use the folder {path} ({error.strerror}); give another --data"
            ) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """While this server runs, no other one uses the folder."""
        lock = FileLock(self.path / "lock", timeout=PATIENCE)
        try:
            lock.acquire()
        except Timeout:
            raise ServeError(
                f"another server uses {self.path}; end it first, or give another --data"
            ) from None
        try:
            self._tidy()
            yield
        finally:
            lock.release()

    def token(self, *, new: bool = False) -> str:
        """What a client must know. The same after a restart, unless a new one is asked for."""
        file = self.path / "token"
        if not new:
            with suppress(OSError):
                if len(token := file.read_text("ascii").strip()) >= 32:
                    return token
        token = secrets.token_urlsafe(32)
        write_private(file, token + "\n")
        return token

    def free(self) -> int:
        """Bytes that are free on its disk."""
        return shutil.disk_usage(self.path).free

    def _tidy(self) -> None:
        """Remove what calls in progress left behind when the server before was killed."""
        for path in self.scratch.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user reads; it is there whole, or as it was before."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


class Disk:
    """Writes records and deletes folders, one after the other, in a thread.

    On a busy disk either may take seconds, which the other clients should not have to wait.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")

    def write(self, path: Path, record: dict[str, Any]) -> None:
        """Write a record as it is now, unless its folder has gone meanwhile."""
        self._thread.submit(_logged, _write, path, json.dumps(record, ensure_ascii=True))

    def remove(self, folder: Path, *, but: str | None = None) -> None:
        """Delete a folder, or all that is in it but one name."""
        self._thread.submit(_logged, _remove, folder, but)

    async def done(self) -> None:
        """Wait for what has been asked for so far."""
        await asyncio.wrap_future(self._thread.submit(lambda: None))

    def close(self) -> None:
        """Wait for all of it, and end."""
        self._thread.shutdown(wait=True)


def _logged(do: Callable[..., object], *arguments: object) -> None:
    try:
        do(*arguments)
    except OSError:
        log.exception("the server's folder cannot be written")


def _write(path: Path, text: str) -> None:
    with suppress(FileNotFoundError):
        write_private(path, text)


def _remove(folder: Path, but: str | None) -> None:
    if but is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name == but:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def read_records(folder: Path, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(folder, record) of every subfolder with our kind of name; one without a record goes.

    One whose record cannot be read stays, for its operator to look at.
    """
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_dir() or not ID.fullmatch(path.name):
            continue
        try:
            record = json.loads((path / name).read_text("utf-8"))
        except FileNotFoundError:
            shutil.rmtree(path, ignore_errors=True)
        except (OSError, ValueError, RecursionError) as error:
            passed_over(path, error)
        else:
            if isinstance(record, dict):
                yield path, record
            else:
                passed_over(path, "it is no object")


def passed_over(folder: Path, reason: object) -> None:
    """Say in the log that a folder is left as it is."""
    text = " ".join(str(reason).split())
    log.warning("%s is passed over, as its record is damaged: %s", folder, text)


def _check_own(folder: Path) -> None:
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise ServeError(f"{folder} is a link or another user's; give another --data")
    folder.chmod(0o700)
