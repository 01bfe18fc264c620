"""What a command over many files has finished so far, so that it need not do it twice."""

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcolor import __version__
from vidcolor.media.publish import WORK_PREFIX
from vidcolor.resume.own_files import NotOwnError, append_to_own, read_own_text, remove_own_file

log = logging.getLogger(__name__)

SUFFIX = ".done"

KEPT = 30 * 24 * 3600
"""Age in seconds from which on the log of a stopped command is removed."""


class DoneLog:
    """A hidden file in each folder of results, removed when the command has come to its end.

    An entry counts only while source and result are unchanged, and only for the same settings, so
    that what a run skips is what it would have made.
    A link, or another user's file, under the log's name is neither read nor written.
    """

    def __init__(self, settings: Mapping[str, Any]):
        """settings: everything beside the source that a result depends on."""
        text = json.dumps([__version__, settings], default=str, sort_keys=True)
        self._name = f"{WORK_PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}{SUFFIX}"

    def has(self, source: Path, target: Path) -> bool:
        """Whether `target` was made from `source` by a command that did not come to its end."""
        try:
            return _entry(source, target) in read_own_text(self._file(target)).splitlines()
        except (OSError, ValueError, NotOwnError):
            return False

    def note(self, source: Path, target: Path) -> None:
        """`target` was made just now. Where that cannot be written, nothing is skipped later."""
        try:
            append_to_own(self._file(target), _entry(source, target))
        except (OSError, NotOwnError) as error:
            log.warning("%s is not noted as done: %s", target, error)

    def forget(self, folder: Path) -> None:
        """The command is done in `folder`."""
        with suppress(OSError):
            remove_own_file(folder / self._name)

    def _file(self, target: Path) -> Path:
        return target.parent / self._name


def sweep_done_logs(folder: Path) -> None:
    """Remove the logs of commands that were stopped long ago."""
    with suppress(OSError):
        for file in folder.glob(f"{WORK_PREFIX}*{SUFFIX}"):
            if time.time() - file.lstat().st_mtime > KEPT:
                remove_own_file(file)


def _entry(source: Path, target: Path) -> str:
    def state(path: Path) -> list[int]:
        return [path.stat().st_size, path.stat().st_mtime_ns]

    return json.dumps([str(source.resolve()), state(source), target.name, state(target)])
