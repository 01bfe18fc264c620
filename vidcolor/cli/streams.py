"""The standard streams of the command: they may be closed, full, or unable to show a name."""

import errno
import io
import os
import sys
from typing import TextIO

from vidcolor.errors import VidcolorError


class _Output(io.FileIO):
    """stdout. What cannot be written ends the command, once, with an error in one line."""

    failed = False

    def write(self, data, /) -> int:  # type: ignore[override]
        if not self.failed:
            try:
                return super().write(data) or 0
            except OSError as error:
                if error.errno == errno.EPIPE:  # `| head` has seen enough, which click knows
                    raise
                self.failed = True
                raise VidcolorError(
                    f"cannot write the output ({error.strerror}); "
                    "redirect it to a place with free space"
                ) from error
        return len(data)


class _Messages(io.FileIO):
    """stderr. What cannot be written is lost, since a film need not fail for its messages."""

    def write(self, data, /) -> int:  # type: ignore[override]
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def prepare_streams() -> None:
    """Make stdin, stdout and stderr usable, whatever they were given as."""
    open_missing()
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Messages(2, "w", closefd=False), sys.stderr)


def open_missing() -> None:
    """Open the null device on the descriptors 0 to 2 that are closed.

    Otherwise the next file or pipe that is opened would become stdin, stdout or stderr.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free


def _text(raw: io.FileIO, replaced: TextIO | None) -> TextIO:
    """A text stream in the encoding of the one that it replaces; what it lacks is escaped."""
    encoding = replaced.encoding if replaced else "utf-8"
    terminal = raw.isatty()
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding, errors="backslashreplace", line_buffering=terminal)
