"""The hidden folder that holds the pieces of one film: its name, its lock, its removal."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vidcolor.errors import MediaError
from vidcolor.media.publish import WORK_PREFIX
from vidcolor.resume.manifest import Manifest, is_of_other_version, load_manifest
from vidcolor.resume.own_files import NotOwnError, is_own_folder, make_own_folder

LOCK = "lock"

PATIENCE = 1.0
"""Seconds to wait for the lock, which `is_running` and `sweep` hold for a moment too."""

ABANDONED = 24 * 3600
"""Age in seconds from which on a work folder without a lock is removed."""

_OUR_NAME = re.compile(rf"{re.escape(WORK_PREFIX)}([0-9a-f]{{16}}|[a-z0-9_]{{8}})")
"""Of `piece_folder` and of `media.publish.work_folder`."""


def piece_folder(target: Path) -> Path:
    """Where the pieces of `target` are kept: beside it, hidden, whatever its name looks like."""
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()
    return target.parent / f"{WORK_PREFIX}{digest[:16]}"


@contextmanager
def locked_folder(target: Path) -> Iterator[Path]:
    """Make the work folder and lock it. The lock of a run that was killed is free.

    Raises MediaError while another run has it, and NotOwnError where something else has its name.
    """
    folder = piece_folder(target)
    lock = FileLock(folder / LOCK, timeout=PATIENCE)
    try:
        while not lock.is_locked:
            make_own_folder(folder)
            with suppress(FileNotFoundError):
                lock.acquire()
                if not (folder / LOCK).exists():  # removed by a run that ended just now
                    lock.release()
    except Timeout:
        raise MediaError(
            f"{target} is being made by another run; wait for it, or give another --output"
        ) from None
    try:
        yield folder
    finally:
        with suppress(FileNotFoundError):
            if {path.name for path in folder.iterdir()} == {LOCK}:  # nothing was begun
                shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def is_running(folder: Path) -> bool:
    """Whether a run holds this work folder."""
    try:
        _check(folder)
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotOwnError):
        return False


def sweep(parent: Path) -> None:
    """Remove the work folders in `parent` that no run uses and no run could continue from."""
    with suppress(OSError):
        for folder in parent.glob(f"{WORK_PREFIX}*"):
            if _OUR_NAME.fullmatch(folder.name) and is_own_folder(folder):
                _sweep(folder)


def _sweep(folder: Path) -> None:
    with suppress(OSError, Timeout, NotOwnError):
        if not (folder / LOCK).exists():
            youngest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
            if time.time() - youngest > ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
            return
        _check(folder)
        with FileLock(folder / LOCK, timeout=0):
            manifest = load_manifest(folder)
            if manifest is None:
                useless = not is_of_other_version(folder)
            else:
                useless = _is_published(folder, manifest)
            if useless:
                shutil.rmtree(folder, ignore_errors=True)


def _check(folder: Path) -> None:
    """FileNotFoundError where there is no such folder; errors as `make_own_folder`."""
    folder.lstat()
    make_own_folder(folder)


def _is_published(folder: Path, manifest: Manifest) -> bool:
    """Killed after the film got its name and before the folder was removed.

    Another file under that name, such as a trial of a few seconds, leaves the pieces alone.
    """
    if not manifest.complete or manifest.keep:
        return False
    return is_result(folder, manifest)


def is_of_kept_pieces(target: Path) -> bool:
    """Whether `target` is the film that was made of the pieces that are kept beside it."""
    folder = piece_folder(target)
    manifest = load_manifest(folder)
    return manifest is not None and manifest.keep and is_result(folder, manifest)


def is_result(folder: Path, manifest: Manifest) -> bool:
    """Whether the film that lies beside `folder` is the one that this run made of the pieces."""
    with suppress(OSError):
        state = (folder.parent / manifest.target).lstat()
        return [state.st_size, state.st_mtime_ns] == manifest.result
    return False
