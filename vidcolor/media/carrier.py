"""How the pictures of a piece reach its encoder: in IVF, which carries 64-bit timestamps."""

import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import ffmpeg
import numpy as np

from vidcolor.media import graph
from vidcolor.media.containers import EncodeSettings, merged_format
from vidcolor.media.probe import Film

USUAL_RATE = Fraction(25)
"""Frames a second that ffmpeg assumes where a film does not say."""

_FOURCC = {8: b"Y800", 9: b"I09L", 10: b"I0AL", 12: b"I0CL", 16: b"I0FL"}
"""By depth: a raw picture whose first plane is what we carry. Deep ones are known in 4:2:0 only."""


def carries_luma(film: Film, settings: EncodeSettings) -> bool:
    """Whether luma can be given to the encoder, so that the film is decoded only once.

    Metadata that every frame carries reach the encoder only from the film itself.
    """
    return merged_format(settings).depth in _FOURCC and not film.light


class Carrier:
    """What an encoder gets through its pipe: chroma, with luma above it or without.

    Without, ffmpeg decodes the film and takes luma from there, frame by frame by timestamp.
    """

    def __init__(
        self,
        film: Film,
        settings: EncodeSettings,
        chroma_size: tuple[int, int],
        *,
        luma: bool,
        start: float | None,
    ) -> None:
        """settings: made complete. chroma_size: (width, height) of Cb and of Cr.

        luma: whether it is carried; see `carries_luma`. start: where else the film is read from,
        in seconds from its start.
        """
        self._film = film
        self._start = start
        self._luma = luma
        self._wanted = merged_format(settings).depth
        self._depth = self._wanted if self._wanted in _FOURCC else 8
        self._first_pts: int | None = None
        top = film.height if luma else 0
        width, height = chroma_size
        beside = luma and 2 * width <= film.width
        self._places = (0, top), ((width, top) if beside else (0, top + height))
        """x and y of Cb and of Cr."""
        self._chroma_size = chroma_size
        x, y = self._places[1]
        self._size = max(film.width if luma else 0, x + width), y + height
        # Time counted in frames tells ffmpeg the frame rate, too, which it takes from the film
        # otherwise. No frame is shorter than the film's unit of time.
        rate = min(film.nominal_rate or USUAL_RATE, 1 / film.time_base)
        self._rate = rate if luma else 1 / film.time_base

    @property
    def picture_bytes(self) -> int:
        """Of one frame, about."""
        return math.prod(self._size) * (1 if self._depth == 8 else 3)

    @property
    def header(self) -> bytes:
        """What comes before the first frame."""
        rate = self._rate.numerator, self._rate.denominator
        return b"DKIF" + struct.pack(
            "<HH4sHHIIII", 0, 32, _FOURCC[self._depth], *self._size, *rate, 0, 0
        )

    def packet(self, pts: int, chroma: np.ndarray, luma: np.ndarray | None) -> Iterator[Any]:
        """A frame, in parts that are written one after the other.

        pts: in the film's time base. chroma: (2, h, w) uint8. luma: as of `LumaFrame.full`.
        Raises ValueError where luma is missing, or of another size than the film's.
        """
        width, height = self._size
        if self._luma and self._first_pts is None:
            self._first_pts = pts  # so that the numbers stay small
        planes = [*self._luma_rows(luma), self._chroma_rows(chroma)]
        if self._depth > 8:
            planes.append(np.zeros(2 * (-(-width // 2)) * (-(-height // 2)), np.uint16))
        size = sum(plane.nbytes for plane in planes)
        yield struct.pack("<Iq", size, pts - (self._first_pts or 0))
        for plane in planes:
            yield plane.data.cast("B")

    def _luma_rows(self, luma: np.ndarray | None) -> list[np.ndarray]:
        if not self._luma:
            return []
        if luma is None or luma.shape != (self._film.height, self._film.width):
            raise ValueError("each frame of this piece needs luma of the film's size")
        if luma.shape[1] < self._size[0]:
            luma = np.pad(luma, ((0, 0), (0, self._size[0] - luma.shape[1])))
        return [np.ascontiguousarray(luma)]

    def _chroma_rows(self, chroma: np.ndarray) -> np.ndarray:
        """Both planes, shifted to the depth of luma: 128 stays neutral."""
        if not self._luma and self._depth == 8:
            return np.ascontiguousarray(chroma)
        (_, top), (x, y) = self._places
        shape = self._size[1] - top, self._size[0]
        rows = np.zeros(shape, np.uint8 if self._depth == 8 else np.uint16)
        height, width = chroma.shape[1:]
        for plane, left, upper in zip(chroma, (0, x), (0, y - top), strict=True):
            part = rows[upper : upper + height, left : left + width]
            part[:] = plane
            part <<= self._depth - 8
        return rows

    def luma_and_chroma(self) -> tuple[Any, tuple[Any, Any]]:
        """Luma of the film's size, and Cb and Cr, as streams of ffmpeg-python."""
        film = self._film
        if not self._luma:
            piped = ffmpeg.input("pipe:0", f="ivf", protocol_whitelist="pipe", thread_queue_size=64)
            halves = self._gray(piped["v"]).split()
            video = graph.source(film, start=self._start)[str(film.video_index)]
            luma = graph.luma(film, video, depth=self._wanted)
            return luma, (self._chroma_plane(halves[0], 0), self._chroma_plane(halves[1], 1))
        # Nothing has to be found out about the stream; that would delay it.
        piped = ffmpeg.input(
            "pipe:0", f="ivf", protocol_whitelist="pipe", probesize=32, fpsprobesize=0
        )
        ticks = 1 / (self._rate * film.time_base)
        whole = (
            piped["v"]
            .filter("settb", graph.time_base(film).replace(":", "/"))
            .filter("setpts", f"round(PTS*{ticks.denominator}/{ticks.numerator})")
        )
        parts = self._gray(whole).split()
        luma = parts[0].filter("crop", film.width, film.height, 0, 0).filter("setsar", 1)
        return luma, (self._chroma_plane(parts[1], 0), self._chroma_plane(parts[2], 1))

    def _gray(self, stream: Any) -> Any:
        return stream if self._depth == 8 else stream.filter("extractplanes", "y")

    def _chroma_plane(self, whole: Any, number: int) -> Any:
        return whole.filter("crop", *self._chroma_size, *self._places[number])
