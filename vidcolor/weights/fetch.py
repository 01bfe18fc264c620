"""Downloading a model: resumed where it stopped, from any mirror, checked by size and SHA-256.

The hash says what the file is, so bytes from several mirrors and several runs may be joined
without asking a server for ETags: a wrong join shows in the hash, and is then fetched afresh.
"""

import errno
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from vidcolor import __version__
from vidcolor.errors import WeightsError
from vidcolor.weights.catalog import Model
from vidcolor.weights.check import is_html, sha256

Progress = Callable[[int, int], None]
"""Called with (bytes there, bytes of the file). The first may fall when a download starts over."""

_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}


def silent(done: int, total: int) -> None:
    """Progress that is not shown."""


def fetch(
    model: Model, folder: Path, *, on_progress: Progress = silent, timeout: float = 30
) -> Path:
    """Download the model's file into `folder` and return its path.

    While it is downloaded the file has the suffix .part; an interrupted download, Ctrl-C
    included, leaves that behind and the next one continues from there. If another run is
    downloading the same file, this one waits for it and reports the other's progress.
    timeout: seconds without a single byte after which a mirror is given up.
    Raises WeightsError if no mirror delivers the file, or the folder cannot take it.
    """
    if model.size is None or model.sha256 is None or not model.mirrors:
        raise WeightsError(f"{model.file} comes with vidcolor but is missing: install it again")
    target = folder / model.file
    download = _Download(
        part=folder / f"{model.file}.part",
        size=model.size,
        sha256=model.sha256,
        on_progress=on_progress,
        timeout=timeout,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f".{model.file}.lock", while_waiting=download.report):
            if not target.is_file():
                download.run(model.mirrors)
                download.part.replace(target)
    except _NoMirrorError as error:
        raise WeightsError(
            f"cannot download {model.file}: {error}. "
            f"Download it in another way from {' or '.join(model.mirrors)} and put it into "
            f"{folder}, or use `--model lite`, which needs no download"
        ) from error
    except OSError as error:
        raise WeightsError(
            f"cannot save {model.file} ({model.size / 1e6:,.0f} MB) in {folder}: "
            f"{'no space left; free some' if error.errno in _FULL else error.strerror}, "
            "or name another folder with --weights-dir"
        ) from error
    return target


def fetch_url(url: str, target: Path, digits: str, *, timeout: float = 30) -> None:
    """Download a file of unknown size, whose SHA-256 begins with `digits`, to `target`.

    Continues an interrupted download, and waits for another run's, as `fetch` does.
    Raises WeightsError, without saying what to do, if it cannot be had.
    """
    download = _Download(
        part=target.with_name(f"{target.name}.part"),
        size=None,
        sha256=digits,
        on_progress=silent,
        timeout=timeout,
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(f".{target.name}.lock"), while_waiting=download.report):
            if not target.is_file():
                download.run((url,))
                download.part.replace(target)
    except _NoMirrorError as error:
        raise WeightsError(f"cannot download {target.name} ({error})") from error
    except OSError as error:
        reason = "no space left" if error.errno in _FULL else error.strerror
        raise WeightsError(f"cannot save {target} ({reason})") from error


class _MirrorError(Exception):
    """This mirror does not have the file; another one may."""


class _CutOffError(_MirrorError):
    """This mirror stopped before the end of the file."""


class _WrongHashError(_MirrorError):
    """The file has the right size and the wrong contents."""


class _NoMirrorError(Exception):
    """No mirror delivered the file; says why, mirror by mirror."""


@dataclass(frozen=True, kw_only=True)
class _Download:
    """The download of one file from several mirrors into `part`."""

    part: Path
    size: int | None
    """Bytes of the file, where they are known beforehand."""
    sha256: str
    """The file's, or the beginning of it."""
    on_progress: Progress
    timeout: float

    def run(self, mirrors: tuple[str, ...]) -> None:
        """Complete and check the part, whatever is there already.

        A mirror that was cut off has another turn, after the others, as long as it adds bytes.
        """
        waiting = deque(mirrors)
        started_over = set()
        reasons = {}
        while waiting:
            url = waiting.popleft()
            before = self.done()
            try:
                self._receive_or_whole(url, before)
                self._verify()
                return
            except _WrongHashError as error:
                reasons[url] = error
                self.part.unlink()
                # The bytes of another mirror or run may be to blame: it has one try on its own.
                if before and url not in started_over:
                    started_over.add(url)
                    waiting.appendleft(url)
            except _CutOffError as error:
                reasons[url] = error
                if self.done() > before:
                    waiting.append(url)
            except _MirrorError as error:
                reasons[url] = error
        raise _NoMirrorError(
            "; ".join(f"{urlsplit(url).netloc}: {reason}" for url, reason in reasons.items())
        )

    def done(self) -> int:
        """Bytes of the part."""
        return self.part.stat().st_size if self.part.exists() else 0

    def report(self) -> None:
        self.on_progress(self.done(), self.size or self.done())

    def _receive_or_whole(self, url: str, start: int) -> None:
        """Fetch what is missing; nothing is if there is nothing after a part of unknown size."""
        try:
            self._receive(url, start)
        except _MirrorError as error:
            cause = error.__cause__
            past_the_end = isinstance(cause, HTTPError) and cause.code == 416
            if self.size is not None or not start or not past_the_end:
                raise

    def _receive(self, url: str, start: int) -> None:
        """Fetch what is missing after the first `start` bytes."""
        if self.size is not None and start >= self.size:
            return
        if shutil.disk_usage(self.part.parent).free < (self.size or 0) - start:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        request = Request(url, headers={"User-Agent": f"vidcolor/{__version__}"})
        if start:
            request.add_header("Range", f"bytes={start}-")
        with self._open(request) as response:
            done = self._offset(response, start)
            size = self.size
            if size is None and response.length is not None:
                size = done + response.length
            with self.part.open("ab" if done else "wb") as file:
                for chunk in self._chunks(response):
                    file.write(chunk)
                    done += len(chunk)
                    if size is not None and done > size:
                        break
                    self.on_progress(done, size or done)
        if size is not None and done < size:
            raise _CutOffError(f"stopped after {done:,} of {size:,} bytes")

    def _verify(self) -> None:
        if not sha256(self.part).startswith(self.sha256):
            raise _WrongHashError("sent another file (wrong SHA-256)")
        with self.part.open("rb+") as file:
            os.fsync(file.fileno())

    def _open(self, request: Request) -> HTTPResponse:
        with self._network_errors():
            return urlopen(request, timeout=self.timeout)

    def _chunks(self, response: HTTPResponse) -> Iterator[bytes]:
        with self._network_errors():
            while chunk := response.read1(_CHUNK):
                yield chunk

    def _offset(self, response: HTTPResponse, start: int) -> int:
        """Where in the file the answer begins: at `start`, or at 0 if the server ignores Range.

        Raises _MirrorError, before the part is touched, if the answer cannot be the file.
        """
        if response.status == 206:
            offered = response.headers.get("Content-Range", "")
            size = r"\d+" if self.size is None else self.size
            if not re.fullmatch(rf"bytes {start}-\d+/({size}|\*)", offered):
                raise _MirrorError(f"offers other bytes than those missing ({offered})")
            return start
        with self._network_errors():
            head = response.peek(512)
        if is_html(head):
            raise _MirrorError("answers with a web page (HTML) instead of the file")
        if None not in (response.length, self.size) and response.length != self.size:
            raise _MirrorError(f"offers {response.length:,} bytes instead of {self.size:,}")
        return 0

    @contextmanager
    def _network_errors(self) -> Iterator[None]:
        """Turn errors of the network, but not those of the disk, into _MirrorError."""
        try:
            yield
        except HTTPError as error:
            error.close()
            raise _MirrorError(f"HTTP {error.code}") from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: redirect to nonsense
            cause = error.reason if isinstance(error, URLError) else error
            if isinstance(cause, TimeoutError):
                raise _CutOffError(f"no data for {self.timeout:g} s") from error
            reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            raise _CutOffError(" ".join(reason.split())) from error


@contextmanager
def _alone(lock_file: Path, *, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock; `while_waiting` is called now and then until the other run lets go of it."""
    lock = FileLock(lock_file)
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            while_waiting()
    try:
        yield
    finally:
        lock.release()
