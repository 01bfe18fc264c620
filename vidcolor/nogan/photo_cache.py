"""Photos decoded once, when they are first drawn, and kept in files beside each other.

A training on millions of photos begins at once: their names are listed once, none is decoded
before it is drawn, and none is decoded twice. Several processes may share a cache.

    catalog.npy   one row per photo: where its encoded bytes lie
    names.bin     the paths of photos that are files of their own
    index.npy     one 64-bit word per photo: not seen yet, unusable, or the place of its pixels
    pixels-N.bin  records of height and width (uint16 each) and luma, Cb, Cr; one file per process
    places.json   what the cache was made of; another set of photos needs another cache
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vidcolor.errors import RecipeError
from vidcolor.nogan.photos import LONGEST, SUFFIXES, decode, is_gray, photo_files, read_regular
from vidcolor.nogan.seeding import numpy_random

ROW = np.dtype([("place", "<u2"), ("method", "u1"), ("offset", "<u8"), ("size", "<u4")])
"""`method`: STORED or DEFLATED bytes inside an archive, FILE, whose path is in names.bin,
or UNKNOWN: encrypted, damaged, or compressed in a way that is not read here."""

STORED, DEFLATED, UNKNOWN, FILE = 0, 8, 254, 255
UNSEEN, GRAY, BROKEN, SMALL = 0, 1, 2, 3
"""Words of the index below FILES; others hold a file's number and a place in its units of ALIGN."""

ALIGN = 16
HEADER = struct.Struct("<HH")
FILES = 1 << 12
"""More files of pixels than a cache can have."""


class PhotoCache:
    """The files of a cache, for one process."""

    def __init__(self, folder: Path, *, smallest: int, longest: int, gray_too: bool):
        self.folder, self.longest = folder, longest
        self.smallest, self.gray_too = smallest, gray_too
        self.places = [Path(place) for place in _made_of(folder)["places"]]
        self.catalog = _array(folder / "catalog.npy", "r", ROW)
        self.index = _array(folder / "index.npy", "r+", np.dtype(np.uint64))
        if len(self.catalog) != len(self.index):
            raise _damaged(folder)
        self.names = _open(folder / "names.bin", os.O_RDONLY)
        self.archives = {
            number: os.open(place, os.O_RDONLY)
            for number, place in enumerate(self.places)
            if place.is_file()
        }
        self.pixels: dict[int, int] = {}
        self.writing = threading.Lock()
        self.number, self.target = _own_file(folder)

    def get(self, photo: int) -> NDArray | None:
        """(H, W, 3) uint8 luma, Cb, Cr; None where it is gray, broken or small."""
        word = int(self.index[photo])
        if word == UNSEEN:
            return self._decode(photo)
        if word < FILES:
            return None
        # After a power failure the index may know of pixels that never reached the disk.
        picture = self._stored(word)
        return self._decode(photo) if picture is None else picture

    def _stored(self, word: int) -> NDArray | None:
        """None where the pixels are not there."""
        number, place = word % FILES, (word // FILES) * ALIGN
        if number not in self.pixels:
            try:
                file = _open(self.folder / f"pixels-{number}.bin", os.O_RDONLY)
            except FileNotFoundError:
                return None
            self.pixels[number] = file
        file = self.pixels[number]
        head = os.pread(file, HEADER.size, place)
        height, width = HEADER.unpack(head) if len(head) == HEADER.size else (0, 0)
        data = os.pread(file, 3 * height * width, place + HEADER.size)
        if not data or len(data) < 3 * height * width:
            return None
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)

    def _decode(self, photo: int) -> NDArray | None:
        picture = decode(self._encoded(photo), self.longest)
        if picture is None:
            self.index[photo] = BROKEN
        elif not self.gray_too and is_gray(picture):
            self.index[photo] = GRAY
        elif min(picture.shape[:2]) < self.smallest:
            self.index[photo] = SMALL
        else:
            record = HEADER.pack(*picture.shape[:2]) + picture.tobytes()
            record += b"\0" * (-len(record) % ALIGN)
            with self.writing:
                # The first record is not at 0, whose words would be below FILES; and a killed
                # writer may have left half a record.
                place = max(ALIGN, os.lseek(self.target, 0, os.SEEK_END))
                place += -place % ALIGN
                os.pwrite(self.target, record, place)
            # Last, and in one word: other processes see all of the photo or nothing.
            self.index[photo] = place // ALIGN * FILES + self.number
            return picture
        return None

    def _encoded(self, photo: int) -> bytes | None:
        """As it is stored; None where it cannot be read, which counts as broken."""
        place, method, offset, size = self.catalog[photo].item()
        if method == FILE:
            name = os.pread(self.names, size, offset)
            return read_regular(self.places[place] / os.fsdecode(name))
        if method == UNKNOWN:
            return None
        try:
            data = os.pread(self.archives[place], size, offset)
            return zlib.decompress(data, -15) if method == DEFLATED else data
        except (OSError, zlib.error):
            return None


class CachedPhotos:
    """Photos of a cache that can be drawn; an unusable one is replaced by the next that is not."""

    def __init__(self, cache: PhotoCache, numbers: NDArray):
        self.cache, self.numbers = cache, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int) -> NDArray:
        """(H, W, 3) uint8: BT.601 full-range luma, Cb, Cr."""
        for step in range(len(self)):
            photo = int(self.numbers[(number + step) % len(self)])
            if (picture := self.cache.get(photo)) is not None:
                return picture
        raise RecipeError("none of the photos can be used: they are gray, broken or too small")

    def __iter__(self) -> Iterator[NDArray]:
        return (self[number] for number in range(len(self)))

    def subset(self, numbers: Sequence[int]) -> CachedPhotos:
        """Some of the photos, in the given order."""
        return CachedPhotos(self.cache, self.numbers[np.asarray(numbers)])

    def split(self, share: float, seed: int) -> tuple[CachedPhotos, CachedPhotos]:
        """(training, validation) photos, at random but always alike."""
        order = numpy_random(seed, "split").permutation(len(self))
        held = min(max(2, round(share * len(self))), len(self))
        return self.subset(sorted(order[held:])), self.subset(sorted(order[:held]))

    def fingerprint(self) -> str:
        """Identifies these photos in this order, by their names and sizes."""
        digest = hashlib.sha256(self.cache.catalog.tobytes())
        digest.update((self.cache.folder / "names.bin").read_bytes())
        digest.update(self.numbers.tobytes())
        return digest.hexdigest()

    @property
    def gray(self) -> int:
        """Photos found to be gray so far."""
        return self._count(GRAY)

    @property
    def broken(self) -> int:
        """Photos found to be broken so far."""
        return self._count(BROKEN)

    @property
    def small(self) -> int:
        """Photos found to be too small so far."""
        return self._count(SMALL)

    def _count(self, word: int) -> int:
        return int((self.cache.index == word).sum())


def open_cache(
    places: Sequence[Path],
    folder: Path,
    *,
    smallest: int,
    longest: int = LONGEST,
    gray_too: bool = False,
) -> CachedPhotos:
    """The photos of folders, zips and tars through a cache in `folder`, made where there is none.

    smallest, longest, gray_too: as of `photos.load_photos`.
    Raises RecipeError if a place cannot be read or the cache is of other photos.
    """
    try:
        return _open_cache(places, folder, smallest, longest, gray_too)
    except OSError as error:
        raise RecipeError(
            f"cannot keep photos in {folder} ({error.strerror or error}); give another --cache"
        ) from error


def _open_cache(
    places: Sequence[Path], folder: Path, smallest: int, longest: int, gray_too: bool
) -> CachedPhotos:
    folder.mkdir(parents=True, exist_ok=True)
    made_of = _identity(places, smallest=smallest, longest=longest, gray_too=gray_too)
    with os.fdopen(_open(folder / "lock", os.O_RDWR | os.O_CREAT), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first of several processes lists, the others wait
        known = folder / "places.json"
        if known.exists():
            if _made_of(folder) != made_of:
                raise RecipeError(
                    f"{folder} is a cache of other photos or sizes; delete it or name another one"
                )
        else:
            _list(places, folder)
            unfinished = _new(folder / "places.tmp")
            unfinished.write_text(json.dumps(made_of), encoding="utf-8")
            unfinished.replace(known)
    cache = PhotoCache(folder, smallest=smallest, longest=longest, gray_too=gray_too)
    return CachedPhotos(cache, np.arange(len(cache.catalog)))


def _identity(places: Sequence[Path], **settings: object) -> dict[str, object]:
    """What a cache depends on."""
    states = []
    for place in places:
        try:
            state = place.stat()
        except OSError as error:
            raise RecipeError(f"cannot read {place} ({error.strerror}); check the name") from error
        states.append([0 if place.is_dir() else state.st_size, state.st_mtime_ns])
    return {"places": [str(place.absolute()) for place in places], "states": states, **settings}


def _list(places: Sequence[Path], folder: Path) -> None:
    """Write catalog.npy, names.bin and an empty index.npy."""
    count = 0
    rows_file, names_file = _new(folder / "catalog.tmp"), _new(folder / "names.bin")
    with rows_file.open("wb") as rows, names_file.open("wb") as names:
        for number, place in enumerate(places):
            before = count
            for method, offset, size, name in _entries(place):
                if method == FILE:
                    encoded = os.fsencode(name)
                    offset, size = names.tell(), len(encoded)
                    names.write(encoded)
                rows.write(np.array((number, method, offset, size), ROW).tobytes())
                count += 1
            if count == before:
                raise RecipeError(f"{place} holds no jpg, png or webp photos")
    catalog = np.lib.format.open_memmap(_new(folder / "catalog.npy"), "w+", ROW, (count,))
    catalog[:] = np.memmap(rows_file, ROW, "r")
    catalog.flush()
    rows_file.unlink()
    index = _new(folder / "index.npy")
    np.lib.format.open_memmap(index, "w+", np.uint64, (count,)).flush()


def _entries(place: Path) -> Iterator[tuple[int, int, int, str]]:
    """(method, offset, size, name) of every photo in a folder, zip or tar, ordered by name."""
    if place.is_dir():
        for path in photo_files(place):
            yield FILE, 0, 0, str(path.relative_to(place))
    elif place.is_file() and zipfile.is_zipfile(place):
        yield from _zip_entries(place)
    elif place.is_file() and tarfile.is_tarfile(place):
        yield from _tar_entries(place)
    else:
        raise RecipeError(f"{place}: neither a folder nor a zip or tar file of photos")


def _zip_entries(place: Path) -> Iterator[tuple[int, int, int, str]]:
    with zipfile.ZipFile(place) as archive, place.open("rb") as file:
        for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
            if Path(entry.filename).suffix.lower() not in SUFFIXES:
                continue
            if entry.compress_type not in (STORED, DEFLATED) or entry.flag_bits & 1:
                yield UNKNOWN, 0, 0, entry.filename
                continue
            # Name and extra field come between the local header and the bytes.
            file.seek(entry.header_offset + 26)
            lengths = file.read(4)
            if len(lengths) < 4:
                yield UNKNOWN, 0, 0, entry.filename
                continue
            name, extra = struct.unpack("<HH", lengths)
            start = entry.header_offset + 30 + name + extra
            yield entry.compress_type, start, entry.compress_size, entry.filename


def _tar_entries(place: Path) -> Iterator[tuple[int, int, int, str]]:
    try:
        with tarfile.open(place, "r:") as archive:
            members = sorted((m for m in archive if m.isfile()), key=lambda member: member.name)
    except tarfile.ReadError as error:
        raise RecipeError(f"{place} is a compressed tar; unpack it into a folder") from error
    for member in members:
        if Path(member.name).suffix.lower() in SUFFIXES:
            yield STORED, member.offset_data, member.size, member.name


def _own_file(folder: Path) -> tuple[int, int]:
    """(number, descriptor) of a file of pixels that no other living process writes to."""
    for number in range(FILES):
        file = _open(folder / f"pixels-{number}.bin", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        return number, file
    raise RecipeError(f"more than {FILES} processes use {folder}; give some another cache")


def _open(path: Path, flags: int) -> int:
    """A descriptor of one of the cache's files: a link that somebody put there is not followed."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def _new(path: Path) -> Path:
    """The name of a file that is not there (any more), so that writing follows no link."""
    path.unlink(missing_ok=True)
    return path


def _made_of(folder: Path) -> dict[str, Any]:
    """What `_identity` said of the cache. Raises RecipeError where that is damaged."""
    try:
        with os.fdopen(_open(folder / "places.json", os.O_RDONLY), encoding="utf-8") as file:
            made_of = json.load(file)
        return {"places": made_of["places"], **made_of}
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder) from error


def _array(path: Path, mode: Literal["r", "r+"], dtype: np.dtype) -> NDArray:
    """One of the cache's two tables, mapped. Raises RecipeError where it is damaged."""
    os.close(_open(path, os.O_RDONLY))
    try:
        array = np.load(path, mmap_mode=mode)
    except (ValueError, EOFError, SyntaxError) as error:
        raise _damaged(path.parent) from error
    if array.dtype != dtype or array.ndim != 1:
        raise _damaged(path.parent)
    return array


def _damaged(folder: Path) -> RecipeError:
    return RecipeError(f"the cache {folder} is damaged; delete it or name another one")
