"""Where films come from and results go: the few operations that an archive needs of a storage."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from vidcolor.errors import StorageError, VidcolorError

LONGEST_NAME = 255
"""Bytes of one component of a name, as file systems have it."""

SMALL = 16 * 2**20
"""Bytes that are read of a record at most; none is ever nearly as large."""


class Entry(NamedTuple):
    """One file or object."""

    name: str
    """Below the store's address, with "/" between the components."""
    size: int
    """Bytes."""
    version: str
    """Text that differs when the content does: the time of the last change, or an ETag."""


class Store(Protocol):
    """A folder, or a part of an object store, of which all names are `check_name`d.

    Every method raises StorageError, or what the storage raises, where it cannot do its work.
    """

    address: str
    """As the user wrote it."""

    def list(self, folder: str = "") -> Iterator[Entry]:
        """All files below `folder`; hidden ones only where `folder` itself is hidden.

        What was written just now may be missing. A name that `check_name` refuses may be there.
        """
        ...

    def stat(self, name: str) -> Entry | None:
        """What lies under this name, if anything does; never an old state."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of a record of at most SMALL bytes; None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a record there, whatever was there before. Readers see the old or the new one."""
        ...

    def create(self, name: str, content: bytes | Path) -> bool:
        """Put bytes, or a file's content, there unless something is there already.

        Returns False, and changes nothing, in that case. Of several that try at once, one succeeds.
        Readers see nothing or all of it.
        """
        ...

    def fetch(self, name: str, path: Path) -> None:
        """Put a file's content, which is only read then, under `path`; FileNotFoundError."""
        ...

    def local_path(self, name: str) -> Path | None:
        """Where this very file can be read on this machine; None if it has to be fetched."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove these, as far as they are there."""
        ...

    def sweep(self) -> None:
        """Remove unfinished files that killed runs left behind long ago."""
        ...


def check_name(name: str) -> str:
    """The same name, if it leads to a place below the store and nowhere else.

    Raises VidcolorError for one that is empty, absolute, or has empty, "." or ".." components.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise VidcolorError(f"{name!r} is not a name that a result can have; rename it")
    if max(len(part.encode(errors="surrogatepass")) for part in parts) > LONGEST_NAME:
        raise VidcolorError(f"a part of the name {name!r} is too long for a file; rename it")
    return name


def is_address(text: str) -> bool:
    """Whether this is written as an address, `PROTOCOL://...`, and not as a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def open_store(address: str) -> Store:
    """The store of a folder or an fsspec address, whose requests are tried again if they fail.

    Raises VidcolorError for an address that cannot be used, and one that holds a password.
    """
    from vidcolor.archive.local_store import LocalStore
    from vidcolor.archive.retrying import Retrying

    if address.startswith("file://"):
        address = address.removeprefix("file://")
    if not is_address(address):
        return Retrying(LocalStore(Path(address)))
    if "::" in address:
        raise VidcolorError(f"{address}: chained addresses are not supported; give a plain one")
    if "@" in urlsplit(address).netloc or "?" in address:
        raise VidcolorError(
            "an address must not hold a user, a password or parameters: it would be recorded; set "
            "them in the environment, such as AWS_ACCESS_KEY_ID or AWS_PROFILE"
        )
    from vidcolor.archive.object_store import ObjectStore

    return Retrying(ObjectStore(address))


def check_creates_once(store: Store, name: str) -> None:
    """Make sure that the second of two writers is refused, by writing `name` twice.

    Raises StorageError for a storage that does not know conditional writes.
    """
    try:
        store.create(name, b"1\n")
        second = store.create(name, b"2\n")
        first = store.read(name) == b"1\n"
    finally:
        store.remove([name])
    if second or not first:
        raise StorageError(
            f"{store.address} does not refuse to overwrite (If-None-Match: *), so two machines "
            "could write the same film; use a storage that does"
        )
