"""Files that appear under their final name when they are complete, and only then."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vidcolor.errors import MediaError

WORK_PREFIX = ".vidcolor-"
"""How the names of all folders for unfinished work begin."""


@contextmanager
def published(
    target: Path,
    folder: Path | None = None,
    on_complete: Callable[[Path], object] = lambda unfinished: None,
) -> Iterator[Path]:
    """A temporary path, with `target`'s suffix, that is renamed to it on success.

    folder: where it lies until then, on the same disk; beside the target if None.
    on_complete: called with the temporary path just before it is renamed.
    Raises MediaError when the folder cannot be written, or the target is a device or a pipe.
    """
    refuse_device(target)
    with work_folder(folder or target.parent) as folder:
        unfinished = folder / f"film{target.suffix}"
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        on_complete(unfinished)
        unfinished.replace(target)


def refuse_source(source: Path, target: Path) -> None:
    """MediaError if `target` is the source itself, under whichever name."""
    if target.exists() and source.exists() and target.samefile(source):
        raise MediaError(f"{target} is the source itself; choose another name with --output")


def refuse_device(target: Path) -> None:
    """MediaError if `target` is there and no file: a device or pipe would be replaced by one.

    Also for names in /dev itself, such as /dev/stdout, which may be a link to a file.
    """
    in_dev = target.absolute().parent == Path("/dev")
    if target.exists() and (in_dev or not (target.is_file() or target.is_dir())):
        raise MediaError(f"{target} is a device or a pipe; give the name of a file")


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A hidden folder in `parent` for unfinished files; removed at the end, whatever happens.

    Raises MediaError when `parent` cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=parent))
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(
            f"cannot write in {parent} ({reason}); choose another folder with --output"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_folder(folder: Path) -> None:
    """Raises MediaError unless files can be made in `folder`."""
    with work_folder(folder):
        pass
