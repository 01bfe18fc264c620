"""A folder as a store. No link below it is ever followed."""

import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidcolor.archive.store import SMALL, Entry, check_name
from vidcolor.errors import StorageError

PARTS = ".vidcolor/parts"
"""Where files lie until they are complete."""

ABANDONED = 24 * 3600
"""Age in seconds from which on an unfinished file is removed."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How things are opened; opening a named pipe would wait for its other end."""


class LocalStore:
    """A folder of this machine, or one that several machines have mounted.

    The file system needs hard links, by which a finished file gets its name unless that is taken.
    """

    def __init__(self, root: Path):
        self.root = root
        self.address = str(root)

    def list(self, folder: str = "") -> Iterator[Entry]:
        waiting = [folder]
        while waiting:
            inside = waiting.pop()
            with suppress(FileNotFoundError), self._opened(inside) as descriptor:
                with os.scandir(descriptor) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
                for entry in entries:
                    if entry.name.startswith(".") and not folder:
                        continue
                    name = f"{inside}/{entry.name}" if inside else entry.name
                    with suppress(FileNotFoundError):
                        state = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(state.st_mode):
                            waiting.append(name)
                        elif stat.S_ISREG(state.st_mode):
                            yield _entry(name, state)

    def stat(self, name: str) -> Entry | None:
        with suppress(FileNotFoundError), self._parent(name) as (parent, last):
            state = os.stat(last, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISREG(state.st_mode):
                raise StorageError(f"{self.root / name} is not a file; remove it")
            return _entry(name, state)
        return None

    def read(self, name: str) -> bytes | None:
        with (
            suppress(FileNotFoundError),
            self._parent(name) as (parent, last),
            os.fdopen(os.open(last, FILE, dir_fd=parent), "rb") as file,
        ):
            return file.read(SMALL)
        return None

    def write(self, name: str, content: bytes) -> None:
        with self._part(content) as (parts, part), self._parent(name, make=True) as (parent, last):
            os.replace(part, last, src_dir_fd=parts, dst_dir_fd=parent)

    def create(self, name: str, content: bytes | Path) -> bool:
        with self._part(content) as (parts, part), self._parent(name, make=True) as (parent, last):
            try:
                os.link(part, last, src_dir_fd=parts, dst_dir_fd=parent, follow_symlinks=False)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                    raise
                raise StorageError(
                    f"the file system of {self.root} has no hard links, without which two "
                    "machines could write the same film; use another one"
                ) from error
            os.fsync(parent)
        return True

    def fetch(self, name: str, path: Path) -> None:
        with self._parent(name) as (parent, last):
            path.unlink(missing_ok=True)
            with suppress(OSError):  # a second name, where that is possible, instead of a copy
                os.link(last, path, src_dir_fd=parent, follow_symlinks=False)
            if path.is_symlink() or path.exists():
                try:
                    self._check_file(name, path.lstat())
                except StorageError:
                    path.unlink()
                    raise
                return
            source = os.fdopen(os.open(last, FILE, dir_fd=parent), "rb")
            with source:
                self._check_file(name, os.fstat(source.fileno()))
                with path.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)

    def local_path(self, name: str) -> Path | None:
        with self._parent(name) as (parent, last):
            self._check_file(name, os.stat(last, dir_fd=parent, follow_symlinks=False))
        return (self.root / name).absolute()

    def _check_file(self, name: str, state: os.stat_result) -> None:
        if not stat.S_ISREG(state.st_mode):
            raise StorageError(f"{self.root / name} is a link or no file; remove it")

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError), self._parent(name) as (parent, last):
                os.unlink(last, dir_fd=parent)

    def sweep(self) -> None:
        with (
            suppress(FileNotFoundError),
            self._opened(PARTS) as parts,
            os.scandir(parts) as entries,
        ):
            for entry in entries:
                with suppress(OSError):
                    state = entry.stat(follow_symlinks=False)
                    if time.time() - state.st_mtime > ABANDONED:
                        os.unlink(entry.name, dir_fd=parts)

    @contextmanager
    def _part(self, content: bytes | Path) -> Iterator[tuple[int, str]]:
        """(folder, name) of a file with this content, safely on the disk, for as long as needed."""
        part = uuid.uuid4().hex
        with self._opened(PARTS, make=True) as parts:
            try:
                if not isinstance(content, Path) or not _linked(content, part, parts):
                    _copied(content, part, parts)
                yield parts, part
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=parts)

    @contextmanager
    def _parent(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """(open folder, last component) of a name."""
        folder, _, last = check_name(name).rpartition("/")
        with self._opened(folder, make=make) as descriptor:
            yield descriptor, last

    @contextmanager
    def _opened(self, folder: str, *, make: bool = False) -> Iterator[int]:
        """The folder, opened component by component. Raises StorageError where one is a link."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in check_name(folder).split("/") if folder else []:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                deeper = _open_folder(part, descriptor, self.root / folder)
                os.close(descriptor)
                descriptor = deeper
            yield descriptor
        finally:
            os.close(descriptor)


def _open_folder(part: str, parent: int, path: Path) -> int:
    try:
        return os.open(part, FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise StorageError(
            f"{path}: {part} is a link or a file where a folder should be; remove it"
        ) from error


def _entry(name: str, state: os.stat_result) -> Entry:
    return Entry(name, state.st_size, str(state.st_mtime_ns))


def _linked(content: Path, part: str, parts: int) -> bool:
    """Give a file, which nobody changes any more, a second name; False if that is not possible."""
    with content.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(content, part, dst_dir_fd=parts, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise
    return True


def _copied(content: bytes | Path, part: str, parts: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o666, dir_fd=parts), "wb") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        else:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())
