"""What a command over many files has made so far, so that it need not make it twice."""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcolor import __version__
from vidcolor.media.publish import WORK_PREFIX

SUFFIX = ".done"

KEPT = 30 * 24 * 3600
"""Seconds after which nobody will go on with a command that was stopped."""


class DoneLog:
    """A hidden file in each folder of results, which goes when the command has come to its end.

    An entry holds only as long as source and result are as they were, and for these settings
    alone: what it lets a run skip would come out the same.
    """

    def __init__(self, settings: Mapping[str, Any]):
        """settings: everything beside the source that a result depends on."""
        words = json.dumps([__version__, settings], default=str, sort_keys=True)
        self._name = f"{WORK_PREFIX}{hashlib.sha256(words.encode()).hexdigest()[:16]}{SUFFIX}"

    def has(self, source: Path, target: Path) -> bool:
        """Whether `target` was made of `source` by a command that did not come to its end."""
        try:
            lines = self._file(target).read_text("utf-8").splitlines()
            return _entry(source, target) in lines
        except (OSError, ValueError):
            return False

    def note(self, source: Path, target: Path) -> None:
        """`target` was made just now. Where that cannot be written, nothing is skipped later."""
        with suppress(OSError), self._file(target).open("a", encoding="utf-8") as file:
            file.write(_entry(source, target) + "\n")

    def forget(self, folder: Path) -> None:
        """The command is done in `folder`."""
        with suppress(OSError):
            (folder / self._name).unlink()

    def _file(self, target: Path) -> Path:
        return target.parent / self._name


def sweep_done_logs(folder: Path) -> None:
    """Remove those of commands that were stopped long ago."""
    with suppress(OSError):
        for file in folder.glob(f"{WORK_PREFIX}*{SUFFIX}"):
            if time.time() - file.stat().st_mtime > KEPT:
                file.unlink()


def _entry(source: Path, target: Path) -> str:
    def state(path: Path) -> list[int]:
        return [path.stat().st_size, path.stat().st_mtime_ns]

    return json.dumps([str(source.resolve()), state(source), target.name, state(target)])
