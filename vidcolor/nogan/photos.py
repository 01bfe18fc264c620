"""Photos to train on: folders, zips and tars, scanned once, decoded when they are needed."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vidcolor.errors import RecipeError
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.seeding import numpy_random

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
GRAY_SPREAD = 2.0
"""Photos with a smaller mean distance of chroma from gray, in levels of 255, are left out."""

LONGEST = 512
"""Pixels of a decoded photo's long side; larger ones are reduced."""

MEMORY = 3 << 30
"""Bytes of decoded photos that are kept; the others are decoded again when they are drawn."""

WORKERS = min(8, os.cpu_count() or 1)

_Read = Callable[[], bytes | None]
"""Gives the encoded photo; None where it cannot be read, which counts as broken."""


class PhotoSet(Protocol):
    """Photos that can be drawn, wherever they are kept."""

    @property
    def gray(self) -> int: ...
    @property
    def broken(self) -> int: ...
    @property
    def small(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, number: int) -> NDArray:
        """(H, W, 3) uint8: BT.601 full-range luma, Cb, Cr."""
        ...

    def __iter__(self) -> Iterator[NDArray]: ...
    def subset(self, numbers: Sequence[int]) -> PhotoSet:
        """Some of the photos, in the given order."""
        ...

    def split(self, share: float, seed: int) -> tuple[PhotoSet, PhotoSet]:
        """(training, validation) photos, at random but always alike."""
        ...

    def fingerprint(self) -> str:
        """Identifies these photos in this order."""
        ...


@dataclass
class Photos:
    """Photos that can be drawn, and how many were left out."""

    reads: list[_Read]
    longest: int
    gray: int = 0
    broken: int = 0
    small: int = 0
    kept: dict[int, NDArray] = field(default_factory=dict)
    """Decoded photos by their index in `reads`."""
    digests: list[bytes] = field(default_factory=list)
    """Hashes of the encoded photos, as many as `reads`."""
    room: int = 0
    """Bytes of photos that may still be kept when they are drawn."""

    def __len__(self) -> int:
        return len(self.reads)

    def __getitem__(self, number: int) -> NDArray:
        """(H, W, 3) uint8: BT.601 full-range luma, Cb, Cr."""
        if number in self.kept:
            return self.kept[number]
        picture = decode(self.reads[number](), self.longest)
        if picture is None:
            raise RecipeError("a photo could be read at first and cannot any more; start again")
        if picture.nbytes <= self.room:
            self.kept[number] = picture
            self.room -= picture.nbytes
        return picture

    def __iter__(self) -> Iterator[NDArray]:
        return (self[number] for number in range(len(self)))

    def subset(self, numbers: Sequence[int]) -> Photos:
        """Some of the photos, in the given order; nothing is decoded again."""
        return replace(
            self,
            reads=[self.reads[n] for n in numbers],
            kept={i: self.kept[n] for i, n in enumerate(numbers) if n in self.kept},
            digests=[self.digests[n] for n in numbers],
            room=self.room * len(numbers) // max(1, len(self)),
        )

    def fingerprint(self) -> str:
        """Identifies these photos in this order, wherever they are stored."""
        return hashlib.sha256(b"".join(self.digests)).hexdigest()

    def split(self, share: float, seed: int) -> tuple[Photos, Photos]:
        """(training, validation) photos, at random but always alike."""
        order = numpy_random(seed, "split").permutation(len(self))
        held = min(max(2, round(share * len(self))), len(self))
        return self.subset(sorted(order[held:])), self.subset(sorted(order[:held]))


def load_photos(
    sources: Sequence[Path],
    *,
    smallest: int,
    longest: int = LONGEST,
    gray_too: bool = False,
    context: DistributedContext | None = None,
) -> Photos:
    """Look at every photo of the folders and archives in `sources`.

    Gray photos (unless `gray_too`), broken ones and those with a short side below `smallest` pixels
    are counted and left out. Of several processes, the first one in `context` looks at them for
    all, and the others decode what they draw. Raises RecipeError where a source does not exist or
    holds no usable photo.
    """
    reads = [read for source in sources for read in _contents(source)]
    found = Photos([], longest, room=MEMORY)

    def look() -> list[tuple[Verdict, bytes]]:
        seen = []
        with ThreadPoolExecutor(WORKERS) as workers:
            for start in range(0, len(reads), 256):  # a chunk at a time, so that few wait in memory
                chunk = reads[start : start + 256]
                for picture, digest in workers.map(lambda read: _look(read, longest), chunk):
                    verdict = _judge(picture, smallest, gray_too)
                    seen.append((verdict, digest))
                    if picture is not None and verdict == "good":
                        place = len(found.digests)
                        found.digests.append(digest)
                        if picture.nbytes <= found.room:
                            found.kept[place] = picture
                            found.room -= picture.nbytes
        return seen

    seen = context.from_first(look) if context else look()
    found.reads = [r for r, (verdict, _) in zip(reads, seen, strict=True) if verdict == "good"]
    found.digests = [digest for verdict, digest in seen if verdict == "good"]
    count = Counter(verdict for verdict, _ in seen)
    found.gray, found.broken, found.small = count["gray"], count["broken"], count["small"]
    if not len(found):
        raise RecipeError(
            f"{', '.join(map(str, sources))}: no color photo of {smallest} pixels or more "
            "on its short side; give folders, zip or tar files of jpg, png or webp photos"
        )
    return found


Verdict = Literal["good", "gray", "broken", "small"]


def _judge(picture: NDArray | None, smallest: int, gray_too: bool) -> Verdict:
    if picture is None:
        return "broken"
    if not gray_too and is_gray(picture):
        return "gray"
    return "small" if min(picture.shape[:2]) < smallest else "good"


def _look(read: _Read, longest: int) -> tuple[NDArray | None, bytes]:
    """The decoded photo, and a hash of the encoded one."""
    data = read()
    return decode(data, longest), hashlib.blake2b(data or b"", digest_size=8).digest()


def decode(data: bytes | None, longest: int) -> NDArray | None:
    """One encoded photo -> (H, W, 3) uint8 luma, Cb, Cr; None where it is broken or missing."""
    if data is None:
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (longest, longest))
            ycc = image.convert("RGB").convert("YCbCr")
    except Exception:  # Pillow raises nearly anything for a damaged file
        return None
    ycc.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(ycc)


def is_gray(picture: NDArray) -> bool:
    return bool(np.abs(picture[..., 1:].astype(np.int16) - 128).mean() < GRAY_SPREAD)


def _contents(source: Path) -> Iterator[_Read]:
    """How to read each photo below a folder or inside an archive, in the order of their names."""
    if source.is_dir():
        for path in photo_files(source):
            yield lambda path=path: read_regular(path)
    elif source.is_file() and zipfile.is_zipfile(source):
        try:
            archive = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, OSError) as error:
            raise RecipeError(f"{source} is a damaged zip ({error}); pack it again") from error
        for name in sorted(archive.namelist()):
            if Path(name).suffix.lower() in SUFFIXES:
                yield lambda name=name: _unzip(archive, name)
    elif source.is_file() and tarfile.is_tarfile(source):
        yield from _tar(source)
    else:
        raise RecipeError(f"{source}: neither a folder nor a zip or tar file of photos")


def photo_files(folder: Path) -> list[Path]:
    """Everything below a folder that is named like a photo, except folders; ordered by name."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.is_dir()
    )


def read_regular(path: Path) -> bytes | None:
    """A file's content; None where it cannot be read or is no regular file.

    Anything else, such as a named pipe, might never end, or never begin.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None


def _unzip(archive: zipfile.ZipFile, name: str) -> bytes | None:
    """An entry's content; None where it is damaged, encrypted or packed in an unknown way."""
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError):
        return None
    except (RuntimeError, NotImplementedError):  # a password, a method
        return None


def _tar(source: Path) -> Iterator[_Read]:
    try:
        with tarfile.open(source, "r:") as archive:
            members = sorted((m for m in archive if m.isfile()), key=lambda member: member.name)
    except (tarfile.TarError, OSError) as error:
        raise RecipeError(
            f"{source} is a damaged or compressed tar; unpack it into a folder"
        ) from error
    for member in members:
        if Path(member.name).suffix.lower() in SUFFIXES:
            yield lambda member=member: _slice(source, member.offset_data, member.size)


def _slice(path: Path, start: int, size: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size)
    except OSError:
        return None


class Batches:
    """Random square crops, which depend on nothing but the seed, the phase's name and the step.

    A resumed run therefore continues with the same crops, whatever the timing of the threads that
    decode them.
    """

    def __init__(
        self, photos: PhotoSet, *, size: int, batch: int, zoom: float, seed: int, name: str
    ) -> None:
        self.photos, self.size, self.batch = photos, size, batch
        self.zoom, self.seed, self.name = zoom, seed, name
        self.workers = ThreadPoolExecutor(min(4, WORKERS))
        self.waiting: dict[tuple[int, int, int], list[Future[NDArray]]] = {}
        self.order = (-1, np.empty(0, np.int64))

    def share(self, step: int, part: int, parts: int) -> Tensor:
        """(batch / parts, 3, size, size) uint8 luma, Cb, Cr: this part of the step's batch."""
        for ahead in (step, step + 1):
            key = (ahead, part, parts)
            if key not in self.waiting:
                self.waiting[key] = self._start(*key)
        crops = [job.result() for job in self.waiting.pop((step, part, parts))]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()

    def _start(self, step: int, part: int, parts: int) -> list[Future[NDArray]]:
        first = step * self.batch
        positions = range(first, first + self.batch)[part::parts]
        return [
            self.workers.submit(self._crop, self._number(position), position)
            for position in positions
        ]

    def _number(self, position: int) -> int:
        """The photo at a position in the sequence of all epochs, each shuffled on its own."""
        epoch, index = divmod(position, len(self.photos))
        if self.order[0] != epoch:
            random = numpy_random(self.seed, self.name, "epoch", epoch)
            self.order = (epoch, random.permutation(len(self.photos)))
        return int(self.order[1][index])

    def _crop(self, number: int, position: int) -> NDArray:
        random = numpy_random(self.seed, self.name, "crop", position)
        picture = self.photos[number]
        height, width = picture.shape[:2]
        side = max(1, int(min(height, width) / random.uniform(1, self.zoom)))
        top, left = random.integers(height - side + 1), random.integers(width - side + 1)
        return fit(picture[top : top + side, left : left + side], self.size)

    def close(self) -> None:
        self.workers.shutdown(cancel_futures=True)


def middles(photos: PhotoSet, count: int, size: int) -> Tensor:
    """The middles of evenly chosen photos: (N, 3, size, size) uint8 luma, Cb, Cr, N <= count."""
    chosen = np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int)
    crops = np.stack([center(photos[int(number)], size) for number in chosen])
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()


def center(picture: NDArray, size: int) -> NDArray:
    """The largest square in the middle, (size, size, 3)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return fit(picture[top : top + side, left : left + side], size)


def fit(square: NDArray, size: int) -> NDArray:
    """A square picture at another size."""
    if len(square) == size:
        return square
    kind = cv2.INTER_AREA if len(square) > size else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(square), (size, size), interpolation=kind)
