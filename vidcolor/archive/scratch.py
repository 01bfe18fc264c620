"""This machine's own disk: films that were fetched, shared by its workers, and unfinished files."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vidcolor.archive.layout import FilmFolder, SourceFilm, suffix_of
from vidcolor.archive.store import Store
from vidcolor.errors import StorageError
from vidcolor.resume.own_files import make_own_folder

LOCK = "lock"

SHARE = 0.8
"""Of the disk's free space that fetched films may take."""


class ChangedSourceError(StorageError):
    """The film is no longer the one that was listed."""


class Scratch:
    """A folder on this machine's disk. What killed workers left in it is removed.

    Raises NotOwnError where the folder is a link or holds somebody else's files.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder or Path(tempfile.gettempdir()) / f"vidcolor-archive-{os.getuid()}"
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        make_own_folder(self.folder)
        for name in ("films", "work", "models"):
            (self.folder / name).mkdir(exist_ok=True)
        self._sweep()

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """A folder for unfinished files, removed at the end."""
        folder = Path(tempfile.mkdtemp(dir=self.folder / "work"))
        with _locked(folder / LOCK, fcntl.LOCK_EX):
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def source(self, store: Store, film: SourceFilm, folder: FilmFolder) -> Iterator[Path]:
        """The film's file, fetched unless it lies on this machine anyway.

        Raises ChangedSourceError where it was changed or removed since it was listed.
        """
        _check(store, film)
        path = store.local_path(film.name)
        if path:
            yield path
            _check(store, film)
            return
        path = self.film_path(film, folder)
        own = path.parent
        while True:
            own.mkdir(exist_ok=True)
            with suppress(FileNotFoundError), _locked(own / LOCK, fcntl.LOCK_EX):
                if not path.exists():
                    self._make_room(film.size)
                    self._fetch(store, film, path)
            with ExitStack() as stack:
                try:
                    stack.enter_context(_locked(own / LOCK, fcntl.LOCK_SH))
                except FileNotFoundError:  # another worker has made room just now
                    continue
                if path.exists():
                    os.utime(own)
                    yield path
                    return

    def film_path(self, film: SourceFilm, folder: FilmFolder) -> Path:
        """Where the film lies if it was fetched."""
        own = self.folder / "films" / folder.path.rpartition("/")[2]
        return own / f"film{suffix_of(film.name)}"

    def _fetch(self, store: Store, film: SourceFilm, path: Path) -> None:
        part = path.with_suffix(".part")
        try:
            store.fetch(film.name, part)
            _check(store, film)
            if part.stat().st_size != film.size:
                raise StorageError(f"{film.name} was not transferred completely; try again")
            part.replace(path)
        except FileNotFoundError as error:
            raise ChangedSourceError(f"{film.name} is no longer there; put it back") from error
        finally:
            part.unlink(missing_ok=True)

    def model(self, name: str, content: bytes) -> Path:
        """A model's file of this name with this content, which the machine's workers share."""
        folder = self.folder / "models" / hashlib.sha256(content).hexdigest()
        folder.mkdir(exist_ok=True)
        path = folder / name
        with _locked(folder / LOCK, fcntl.LOCK_EX):
            if not path.exists():
                part = folder / "part"
                part.write_bytes(content)
                part.replace(path)
        return path

    def _make_room(self, size: int) -> None:
        """Remove films that nobody uses, the one that was used longest ago first."""
        films = sorted((self.folder / "films").iterdir(), key=_age, reverse=True)
        while films and shutil.disk_usage(self.folder).free * SHARE < size:
            _remove_unused(films.pop(0))
        if shutil.disk_usage(self.folder).free < size:
            raise StorageError(
                f"no space left in {self.folder} for a film of {size} bytes; use another --scratch"
            )

    def _sweep(self) -> None:
        for folder in (self.folder / "work").iterdir():
            if _age(folder) > 60:  # the lock of a new one may not be there yet
                _remove_unused(folder)


def _check(store: Store, film: SourceFilm) -> None:
    entry = store.stat(film.name)
    if entry is None:
        raise ChangedSourceError(f"{film.name} is no longer there; put it back")
    if (entry.size, entry.version) != (film.size, film.version):
        raise ChangedSourceError(
            f"{film.name} was changed since the run began; give the same command again"
        )


def _age(folder: Path) -> float:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime
    return 0.0


def _remove_unused(folder: Path) -> None:
    with suppress(OSError), _locked(folder / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock that is free as soon as this process is gone.

    Raises FileNotFoundError where its folder is gone, and BlockingIOError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        if path.stat().st_ino != os.fstat(descriptor).st_ino:
            raise FileNotFoundError(path)  # removed, and made again, while we waited
        yield
    finally:
        os.close(descriptor)
