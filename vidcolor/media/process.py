"""One ffmpeg process: started, watched, and never left behind."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

import ffmpeg

from vidcolor.errors import MediaError
from vidcolor.media.binary import find_ffmpeg

_CONTEXT = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\] ")
_EMPTY_WORDS = re.compile(
    "Conversion failed|Last message repeated|Exiting|Error opening output|Error selecting"
    "|Error initializing output|Error while opening encoder|Could not open encoder"
    "|Could not write header|Terminating thread|Task finished|Nothing was written"
    "|Error sending frames|Error writing trailer|Error closing file|Error muxing"
)
"""Lines that say that ffmpeg ends, but not why."""


class Process:
    """A running ffmpeg whose messages go to a file, so that they can never block it."""

    def __init__(self, popen: subprocess.Popen[bytes], log: IO[bytes], doing: str) -> None:
        self._popen = popen
        self._log = log
        self._doing = doing

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

    def finish(self) -> None:
        """End the input and wait. Raises MediaError if ffmpeg says that something went wrong."""
        if self._popen.stdin is not None:
            with suppress(BrokenPipeError):  # the status says why
                self._popen.stdin.close()
        if self._popen.wait() != 0:
            raise self.failure()

    def failure(self) -> MediaError:
        """Why this process ended early, in ffmpeg's own last words."""
        code = self._popen.wait()
        words = self._last_words()
        if any("No space left on device" in line for line in words):
            return MediaError(f"cannot {self._doing}: no space left there; free some and try again")
        telling = [line for line in words if not _EMPTY_WORDS.match(line)] or words
        said = telling[-1] if telling else f"ffmpeg ended with status {code} and no message"
        return MediaError(f"cannot {self._doing}: {said.rstrip('. ')}")

    def stop(self) -> None:
        """Kill the process if it still runs, and close its pipes."""
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was still buffered has nobody to read it
                    pipe.close()

    def _last_words(self) -> list[str]:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 8192))
        text = self._log.read().decode(errors="replace")
        lines = (_CONTEXT.sub("", line).strip() for line in text.splitlines())
        return [line for line in lines if line]


@contextmanager
def run(stream: Any, doing: str, **pipes: Any) -> Iterator[Process]:
    """Run the ffmpeg-python graph `stream`; whatever happens, no process is left.

    doing: what is being done, as in "cannot {doing}: ...".
    pipes: stdin, stdout, cwd and pass_fds for subprocess.Popen.
    """
    executable: Any = [str(find_ffmpeg().path), "-nostdin", "-y", "-v", "error", "-copyts"]
    arguments = ffmpeg.compile(stream, cmd=executable)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **pipes}
    with tempfile.TemporaryFile() as log:
        # A session of its own: Ctrl-C in the terminal reaches Python, which then stops ffmpeg.
        popen: Any = subprocess.Popen(
            arguments,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "SVT_LOG": "1", "AV_LOG_FORCE_NOCOLOR": "1"},
            **pipes,
        )
        process = Process(popen, log, doing)
        try:
            yield process
        finally:
            process.stop()


def file_url(path: Path) -> str:
    """The name under which ffmpeg takes `path` for a plain file, whatever it looks like."""
    return f"file:{path.absolute()}"
