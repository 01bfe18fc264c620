"""Files and folders that vidcolor made itself, as against those that somebody else put there.

Their names can be predicted, so an unpacked archive or another user of a shared folder may have put
a link or a file of their own under them. Nothing here ever follows a link.
"""

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from vidcolor.errors import MediaError
from vidcolor.media.publish import WORK_PREFIX

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

LARGEST_TEXT = 64 * 2**20
"""Bytes that are read of a manifest or a log of finished jobs; neither is ever nearly as large."""


class NotOwnError(MediaError):
    """Something else lies where a file or folder of vidcolor's own would."""


def is_own_folder(path: Path) -> bool:
    """Whether `path` itself (not what a link leads to) is a folder of this user."""
    with suppress(OSError):
        state = path.lstat()
        return stat.S_ISDIR(state.st_mode) and _is_own(state, path)
    return False


def make_own_folder(path: Path) -> None:
    """Make the folder `path`, or make sure that it is vidcolor's own.

    Raises NotOwnError where it is a link, belongs to somebody else, or holds anything but files and
    folders of this user; OSError where it cannot be made.
    """
    with suppress(FileExistsError):
        path.mkdir(PRIVATE_FOLDER)
        return
    if not is_own_folder(path):
        raise NotOwnError(
            f"{path} is not a folder that vidcolor made for you (a link, or another user's); "
            "remove it, or give another --output"
        )
    if path.lstat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        path.chmod(PRIVATE_FOLDER)  # earlier versions left it to the umask
    with os.scandir(path) as entries:
        for entry in entries:
            state = entry.stat(follow_symlinks=False)
            if not _is_plain(state) or not _is_own(state, Path(entry.path)):
                raise NotOwnError(
                    f"{entry.path} is not a file that vidcolor made for you (a link, or another "
                    f"user's); remove {path}, or give another --output"
                )


def read_own_text(path: Path) -> str:
    """The content of a text file; NotOwnError where that is not vidcolor's own, or OSError."""
    # O_NONBLOCK: opening a named pipe would wait for its other end.
    with _opened(path, os.O_RDONLY | os.O_NONBLOCK, "r") as file:
        return file.read(LARGEST_TEXT)


def append_to_own(path: Path, line: str) -> None:
    """Add a line to a text file, which is made if need be; errors as `read_own_text`."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    with _opened(path, flags, "a") as file:
        file.write(line + "\n")


def remove_own_file(path: Path) -> None:
    """Remove a regular file of this user; anything else stays. OSError where it cannot go."""
    state = path.lstat()
    if stat.S_ISREG(state.st_mode) and _is_own(state, path):
        path.unlink()


def remove_all_but(folder: Path, names: set[str]) -> None:
    """Empty `folder`, which must not be a link, of everything but the entries `names`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with os.scandir(descriptor) as entries:
            unwanted = [entry for entry in entries if entry.name not in names]
        for entry in unwanted:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.name, ignore_errors=True, dir_fd=descriptor)
            else:
                os.unlink(entry.name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path, flags: int, mode: str) -> IO[str]:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
    state = os.fstat(descriptor)
    # A second name for a file of the user's would be a link that O_NOFOLLOW does not see.
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1 or not _is_own(state, path):
        os.close(descriptor)
        raise NotOwnError(f"{path} is not a file that vidcolor made for you; remove it")
    return os.fdopen(descriptor, mode, encoding="utf-8")


def _is_plain(state: os.stat_result) -> bool:
    """A folder, or a regular file with one name."""
    return stat.S_ISDIR(state.st_mode) or (stat.S_ISREG(state.st_mode) and state.st_nlink <= 1)


def _is_own(state: os.stat_result, path: Path) -> bool:
    """Whether what has this state belongs to this user, as far as the file system
    distinguishes users."""
    return state.st_uid == os.geteuid() or state.st_uid == _owner_of_new_files(path.parent)


def _owner_of_new_files(folder: Path) -> int | None:
    """File systems without owners, and some on a network, show another than the user."""
    with suppress(OSError), tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=folder) as made:
        return os.lstat(made).st_uid
    return None
