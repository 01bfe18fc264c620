"""One ffmpeg process: started, listened to, and ended whatever happens."""

import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import ffmpeg

from vidcolor.errors import MediaError
from vidcolor.media.binary import find_ffmpeg

if sys.platform == "linux":
    import fcntl

log = logging.getLogger(__name__)

GLOBAL_OPTIONS = (
    # Every message with its level, none counted together with others, so that they can be counted.
    *("-nostdin", "-y", "-v", "repeat+level+warning", "-copyts"),
    # However much of a film is damaged, the rest of it is wanted.
    *("-max_error_rate", "1"),
)
LONGEST_LINE = 4096
"""Bytes; what is longer counts as several messages."""

USUAL_PIPE_BYTES = 1 << 16
"""What a pipe holds on Linux."""

PIPE_BYTES = 1 << 20
"""What it may hold there without privileges."""

END_TIMEOUT = 10.0
"""Seconds to wait for a process that was killed; one that hangs inside the kernel is left alone."""

_SURROGATE = re.compile("[\udc80-\udcff]")
_ESCAPE = re.compile("\0([0-9a-f]{2})")
_CONTEXT = re.compile(r"\[[^\]]* @ (0x)?[0-9a-f]+\] ")
_LEVEL = re.compile(r"\[(panic|fatal|error|warning)\]")
_FULL_DISK = ("No space left on device", "Disk quota exceeded")
_UNSPECIFIC = re.compile(
    "Conversion failed|Last message repeated|Exiting|Error opening output|Error selecting"
    "|Error initializing output|Error while opening encoder|Could not open encoder"
    "|Could not write header|Terminating thread|Task finished|Nothing was written"
    "|Error sending frames|Error writing trailer|Error closing file|Error muxing"
)
"""Lines that say that ffmpeg ends, but not why."""


class EndedEarly(MediaError):
    """ffmpeg ended without an error before it had used all of its input."""


class Interrupted(MediaError):
    """ffmpeg could not finish for a reason that lies outside the film: killed, or a full disk."""


class Line(NamedTuple):
    """One of ffmpeg's messages."""

    level: str
    """"error", "warning" and so on; "" where a library wrote it past ffmpeg."""
    text: str


class Process:
    """A running ffmpeg. A thread reads its messages, so that a full pipe never blocks it."""

    def __init__(
        self, popen: subprocess.Popen[bytes], doing: str, hear: Callable[[Line], object]
    ) -> None:
        self._popen = popen
        self._doing = doing
        self._last_errors: deque[str] = deque(maxlen=40)
        self._listener_error: Exception | None = None
        self._listener = threading.Thread(target=self._listen, args=(hear,), daemon=True)
        self._listener.start()

    @property
    def stdout(self) -> BufferedReader:
        return cast(BufferedReader, self._popen.stdout)

    def send(self, data: bytes | memoryview) -> None:
        """Write to ffmpeg's input. Raises MediaError if ffmpeg has ended."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(data)
        except BrokenPipeError:
            raise self.failure() from None

    def widen_pipes(self, picture: int) -> None:
        """Let more of a picture of so many bytes wait in the pipes, where the system can."""
        if sys.platform != "linux" or picture <= USUAL_PIPE_BYTES:
            return
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with suppress(OSError):  # more than this user may have
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, min(picture, PIPE_BYTES))

    def finish(self) -> None:
        """End the input and wait. Raises MediaError if ffmpeg says that something went wrong."""
        if self._popen.stdin is not None:
            with suppress(BrokenPipeError):  # the status says why
                self._popen.stdin.close()
        if self._popen.wait() != 0:
            raise self.failure()
        self._listener.join()
        if self._listener_error is not None:
            raise self._listener_error

    def failure(self) -> Exception:
        """Why this process ended early, from ffmpeg's own messages."""
        code = self._popen.wait()
        self._listener.join()
        if self._listener_error is not None:
            return self._listener_error
        errors = list(self._last_errors)
        if any(reason in line for line in errors for reason in _FULL_DISK):
            return Interrupted(
                f"cannot {self._doing}: no space left there; free some and try again"
            )
        if code < 0:
            return Interrupted(
                f"cannot {self._doing}: ffmpeg was killed ({_signal_name(-code)}), by you or "
                "because memory ran out; try again"
            )
        specific = [line for line in errors if not _UNSPECIFIC.match(line)] or errors
        said = specific[-1] if specific else f"ffmpeg ended with status {code} and no message"
        kind = MediaError if code else EndedEarly
        return kind(f"cannot {self._doing}: {said.rstrip('. ')}")

    def kill(self) -> None:
        """End the process at once, from any thread, without waiting for it.

        Whoever reads its output then finds the end of it, even if the process was suspended.
        """
        self._popen.kill()

    def stop(self) -> None:
        """Kill the process if it still runs, and close its pipes."""
        if self._popen.poll() is None:
            self._popen.kill()
        try:
            self._popen.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            log.warning("ffmpeg (process %d) does not end; it is left alone", self._popen.pid)
            return  # closing a pipe could wait for its reader, who waits for the process
        self._listener.join()
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                with suppress(OSError):  # nobody reads what was still buffered
                    pipe.close()

    def _listen(self, hear: Callable[[Line], object]) -> None:
        assert self._popen.stderr is not None
        for said in iter(lambda: cast(IO[bytes], self._popen.stderr).readline(LONGEST_LINE), b""):
            line = _line(said)
            if line.text:
                log.debug("%s: %s", line.level, line.text)
                if line.level != "warning":
                    self._last_errors.append(line.text)
                try:
                    hear(line)
                except Exception as error:  # raised where the process is waited for
                    self._listener_error = self._listener_error or error


def _line(said: bytes) -> Line:
    text = _CONTEXT.sub("", said.decode(errors="replace")).strip()
    level = _LEVEL.match(text)
    return Line(level[1], text[level.end() :].strip()) if level else Line("", text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def run(
    stream: Any, doing: str, hear: Callable[[Line], object] = lambda line: None, **pipes: Any
) -> Iterator[Process]:
    """Run the ffmpeg-python graph `stream`; whatever happens, no process is left.

    doing: what is being done, as in "cannot {doing}: ...".
    hear: is given every error and warning of ffmpeg, from a thread.
    pipes: stdin, stdout, cwd and pass_fds for subprocess.Popen.
    """
    executable: Any = [str(find_ffmpeg().path), *GLOBAL_OPTIONS]
    arguments = [_unescaped(word) for word in ffmpeg.compile(stream, cmd=executable)]
    log.debug("to %s: %s", doing, shlex.join(arguments))
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **pipes}
    # A session of its own: Ctrl-C in the terminal reaches Python, which then stops ffmpeg.
    popen: Any = subprocess.Popen(
        arguments,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "SVT_LOG": "1", "AV_LOG_FORCE_NOCOLOR": "1"},
        **pipes,
    )
    process = Process(popen, doing, hear)
    try:
        yield process
    finally:
        process.stop()


def file_url(path: Path) -> str:
    """The name under which ffmpeg takes `path` for a plain file, whatever it looks like.

    ffmpeg-python cannot encode file names that are not UTF-8, so their odd bytes are escaped until
    `run` starts ffmpeg. The escape begins with NUL, which no file name holds.
    """
    return "file:" + _SURROGATE.sub(
        lambda odd: f"\0{ord(odd[0]) - 0xDC00:02x}", str(path.absolute())
    )


def _unescaped(word: str) -> str:
    return _ESCAPE.sub(lambda odd: chr(0xDC00 + int(odd[1], 16)), word)
