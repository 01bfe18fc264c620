"""Requests to a store that are tried again, and later, when they fail for a passing reason."""

import errno
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from vidcolor.archive.store import Entry, Store
from vidcolor.errors import StorageError, VidcolorError

log = logging.getLogger(__name__)

ATTEMPTS = 6

FIRST_WAIT = 0.2
"""Seconds; each further one is twice as long, give or take a half."""

LASTING = (
    VidcolorError,
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    UnicodeError,
    NotImplementedError,
    TypeError,
)
"""What another attempt would meet again."""

LASTING_NUMBERS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.EFBIG}

LASTING_NAMES = {"NoCredentialsError", "PartialCredentialsError", "NoSuchBucket", "ProfileNotFound"}
"""Of botocore's, which need not be installed."""

Result = TypeVar("Result")


class Retrying:
    """A store over another one, whose failing requests are tried again with growing pauses.

    A request whose answer was lost may have had its effect: `create` then says that something is
    there already. Raises StorageError when all attempts have failed.
    """

    def __init__(self, store: Store, sleep: Callable[[float], object] = time.sleep):
        self.inner = store
        self.address = store.address
        self._sleep = sleep

    def list(self, folder: str = "") -> Iterator[Entry]:
        """As the store's; what was listed before a failure is not listed again."""
        seen: set[str] = set()
        for attempt in range(ATTEMPTS):
            try:
                for entry in self.inner.list(folder):
                    if entry.name not in seen:
                        seen.add(entry.name)
                        yield entry
                return
            except Exception as error:
                self._wait(error, attempt, "list")

    def stat(self, name: str) -> Entry | None:
        return self._again("look at", lambda: self.inner.stat(name))

    def read(self, name: str) -> bytes | None:
        return self._again("read", lambda: self.inner.read(name))

    def write(self, name: str, content: bytes) -> None:
        self._again("write", lambda: self.inner.write(name, content))

    def create(self, name: str, content: bytes | Path) -> bool:
        return self._again("write", lambda: self.inner.create(name, content))

    def fetch(self, name: str, path: Path) -> None:
        self._again("read", lambda: self.inner.fetch(name, path))

    def local_path(self, name: str) -> Path | None:
        return self._again("read", lambda: self.inner.local_path(name))

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._again("remove from", lambda name=name: self.inner.remove([name]))

    def sweep(self) -> None:
        self._again("clean up", self.inner.sweep)

    def _again(self, doing: str, request: Callable[[], Result]) -> Result:
        for attempt in range(ATTEMPTS):
            try:
                return request()
            except Exception as error:
                self._wait(error, attempt, doing)
        raise AssertionError("the last attempt raises")

    def _wait(self, error: Exception, attempt: int, doing: str) -> None:
        """Raise what will not pass; otherwise wait before the next attempt."""
        if isinstance(error, VidcolorError):
            raise error
        if isinstance(error, FileNotFoundError) and doing == "read":
            raise error  # the object itself; a bucket that is missing is named below
        if is_lasting(error) or attempt == ATTEMPTS - 1:
            raise StorageError(
                f"cannot {doing} {self.address}: {in_words(error)}; check the network, the "
                "permissions and the space there, then give the same command again"
            ) from error
        log.info("%s failed (%s), attempt %d", doing, in_words(error), attempt + 1)
        self._sleep(FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5))


def is_lasting(error: Exception) -> bool:
    """Whether the same request would fail again."""
    if isinstance(error, OSError) and error.errno in LASTING_NUMBERS:
        return True
    return isinstance(error, LASTING) or type(error).__name__ in LASTING_NAMES


def in_words(error: Exception) -> str:
    """What failed, in one line that holds no address with a signature in it."""
    text = " ".join(str(error).split()).partition("?")[0]
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
