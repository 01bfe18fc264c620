"""Colors of a piece in progress, saved so that a slow model need not make them twice.

A piece is encoded without interruption, so a run that is killed loses its encoded part. Encoding
costs little, coloring may take hours: saved colors are encoded once more, and the film is the one
that an undisturbed run would have made, whenever they were saved.
"""

import math
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple
from zipfile import BadZipFile

import numpy as np

from vidcolor.errors import MediaError

TRIAL_SECONDS = 5.0
"""Wall time after the first frame of a run from which on its speed is judged."""

TRIAL_BYTES = 64 * 2**20
"""Uncompressed chroma that is held until then at most."""

LARGEST_BUFFER = 64 * 2**20
"""Compressed chroma that is held until it is saved."""

START_OVER = "--fresh deletes it and starts over"

STATE = "state_"
"""Before the names of the arrays of the temporal filter's state."""


class FrameColors(NamedTuple):
    """The colors of one frame as the encoder takes them."""

    pts: int
    chroma: np.ndarray
    """(2, h, w) uint8."""


class Pace:
    """How fast a run colors, its start included, from the moment when this is made."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._first: float | None = None
        self._frames = 0

    def count(self) -> None:
        """One more frame."""
        self._first = self._first or time.monotonic()
        self._frames += 1

    @property
    def since_first(self) -> float:
        """Seconds since the first frame."""
        return time.monotonic() - (self._first or time.monotonic())

    @property
    def per_frame(self) -> float:
        """Seconds, on average; at least one frame has been counted."""
        return (time.monotonic() - self._begun) / self._frames


class ColorRecorder:
    """Collects the colors of a piece in progress, unless the run is so fast that none are needed.

    interval: wall time in seconds between two checkpoints; a piece that takes no longer needs none.
    expected: how many frames the piece may have.
    pace: of the run, over all its pieces.
    """

    def __init__(self, interval: float, expected: float, pace: Pace):
        self._interval = interval
        self._expected = expected
        self._pace = pace
        self._on_trial = interval > 0
        self._given_up = False
        self._saved = time.monotonic()
        self._shape: tuple[int, ...] = ()
        self._raw: list[np.ndarray] = []
        self._packed: list[bytes] = []
        self.pts: list[int] = []
        """Timestamps of the frames that were collected."""

    def add(self, colors: FrameColors) -> None:
        """Take the colors of the next frame."""
        self._pace.count()
        if self._given_up or self._is_fast():
            return
        self.pts.append(colors.pts)
        self._raw.append(colors.chroma)
        self._shape = colors.chroma.shape
        if not self._on_trial:
            self._pack()

    @property
    def is_due(self) -> bool:
        """Whether what was collected should be saved now."""
        waited = time.monotonic() - self._saved >= self._interval
        return bool(self.pts) and (waited or sum(map(len, self._packed)) > LARGEST_BUFFER)

    def save(self, file: IO[bytes], state: Mapping[str, np.ndarray]) -> None:
        """Write what was collected, and start collecting again.

        state: of the temporal filter after the last of these frames.
        """
        self._pack()
        np.savez(
            file,
            allow_pickle=False,
            pts=np.array(self.pts, np.int64),
            shape=np.array(self._shape, np.int64),
            lengths=np.array([len(code) for code in self._packed], np.int64),
            codes=np.frombuffer(b"".join(self._packed), np.uint8),
            **{f"{STATE}{name}": array for name, array in state.items()},
        )
        self.pts = []
        self._packed.clear()
        self._saved = time.monotonic()

    def _is_fast(self) -> bool:
        """Give up where the piece will be finished within the interval."""
        held = sum(chroma.nbytes for chroma in self._raw)
        if self._on_trial and self._pace.since_first < TRIAL_SECONDS and held < TRIAL_BYTES:
            return False
        self._on_trial = False
        self._given_up = self._pace.per_frame * self._expected < self._interval
        if self._given_up:
            self.pts.clear()
            self._raw.clear()
            self._packed.clear()
        return self._given_up

    def _pack(self) -> None:
        self._packed += map(packed, self._raw)
        self._raw.clear()


def packed(chroma: np.ndarray) -> bytes:
    """(2, h, w) uint8, without loss: Huffman codes of the differences along each row."""
    differences = chroma.copy()
    differences[..., 1:] -= chroma[..., :-1]
    coder = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(differences.data) + coder.flush()


def unpacked(code: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """What was packed."""
    # No more than the frame has: a few planted bytes could fill all memory.
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(code, math.prod(shape) + 1)
    return np.cumsum(np.frombuffer(data, np.uint8).reshape(shape), -1, np.uint8)


@contextmanager
def _arrays(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """What `ColorRecorder.save` wrote. Raises MediaError where the file holds something else."""
    try:
        with np.load(path) as arrays:
            yield arrays
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise MediaError(f"the saved colors {path} are damaged ({error}); {START_OVER}") from error


def saved_colors(path: Path) -> Iterator[FrameColors]:
    """The frames that `ColorRecorder.save` wrote. Raises MediaError where they are damaged."""
    with _arrays(path) as arrays:
        shape, codes = tuple(arrays["shape"].tolist()), arrays["codes"].tobytes()
        begin = 0
        for pts, length in zip(arrays["pts"].tolist(), arrays["lengths"].tolist(), strict=True):
            yield FrameColors(pts, unpacked(codes[begin : begin + length], shape))
            begin += length


def saved_state(path: Path) -> dict[str, np.ndarray]:
    """The temporal filter's state that `ColorRecorder.save` wrote. Raises MediaError likewise."""
    with _arrays(path) as arrays:
        return {name.removeprefix(STATE): arrays[name] for name in arrays if name.startswith(STATE)}
