"""A part of an object store, by fsspec."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcolor.archive.store import SMALL, Entry, check_name
from vidcolor.errors import VidcolorError

BLOCK = 16 * 2**20
"""Bytes that are transferred at once, and held in memory a few times."""

AT_ONCE = 4
"""Blocks that are under way at the same time."""

MOST_PARTS = 9_000
"""Of one upload; S3 takes 10,000."""

VERSIONS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "mtime", "created")
"""Where file systems keep what changes with the content."""


class ObjectStore:
    """Objects below an address such as `s3://bucket/folder`.

    Raises VidcolorError for an address that no installed package of fsspec's can open.
    """

    def __init__(self, address: str):
        self.address = address.rstrip("/")
        try:
            from fsspec.core import url_to_fs

            # A listing that is remembered would hide what other machines write.
            self._fs, root = url_to_fs(self.address, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise VidcolorError(
                f"{address} cannot be opened ({error}); pip install 'vidcolor[archive]', and what "
                "this kind of address needs"
            ) from error
        self._root = root.rstrip("/")
        self._is_s3 = "s3" in (
            self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        )

    def list(self, folder: str = "") -> Iterator[Entry]:
        with suppress(FileNotFoundError):
            if folder:
                yield from self._found(self._path(folder))
                return
            # One branch after the other: a listing of everything would be large, and so may what is
            # hidden be, which nobody wants here.
            for info in self._fs.ls(self._root, detail=True):
                if info["name"].rpartition("/")[2].startswith("."):
                    continue
                if info["type"] == "directory":
                    with suppress(FileNotFoundError):
                        yield from self._found(info["name"])
                elif entry := self._entry(info):
                    yield entry

    def stat(self, name: str) -> Entry | None:
        with suppress(FileNotFoundError):
            info = self._fs.info(self._path(name))
            return self._entry(info) if info["type"] == "file" else None
        return None

    def read(self, name: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return self._fs.cat_file(self._path(name))[:SMALL]
        return None

    def write(self, name: str, content: bytes) -> None:
        self._fs.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes | Path) -> bool:
        path = self._path(name)
        try:
            if isinstance(content, bytes):
                self._fs.pipe_file(path, content, mode="create")
            else:
                block = max(BLOCK, content.stat().st_size // MOST_PARTS)
                self._fs.put_file(str(content), path, mode="create", **self._transfer(block))
        except FileExistsError:
            return False
        return True

    def fetch(self, name: str, path: Path) -> None:
        self._fs.get_file(self._path(name), str(path), **self._transfer(BLOCK))

    def local_path(self, name: str) -> Path | None:
        return None

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

    def sweep(self) -> None:
        """Nothing: unfinished uploads are no objects."""

    def _path(self, name: str) -> str:
        return f"{self._root}/{check_name(name)}"

    def _found(self, path: str) -> Iterator[Entry]:
        for info in self._fs.find(path, detail=True).values():
            if info["type"] == "file" and (entry := self._entry(info)):
                yield entry

    def _entry(self, info: dict[str, Any]) -> Entry | None:
        name = info["name"].removeprefix(f"{self._root}/")
        if not name or name.endswith("/"):  # what consoles put there for an empty folder
            return None
        version = next((str(info[key]) for key in VERSIONS if info.get(key)), "")
        return Entry(name, int(info["size"] or 0), version)

    def _transfer(self, block: int) -> dict[str, Any]:
        """How a file is sent; without it s3fs would hold half a gigabyte of it in memory."""
        return {"chunksize": block, "max_concurrency": AT_ONCE} if self._is_s3 else {}
