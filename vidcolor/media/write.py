"""A piece of the colored film: the film's own luma, our chroma, no sound."""

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import ffmpeg
import numpy as np

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.containers import (
    EncodeSettings,
    complete,
    encoder_options,
    merged_format,
    piece_muxer,
)
from vidcolor.media.limits import open_film
from vidcolor.media.merge import color_tags, merged_picture
from vidcolor.media.probe import Film
from vidcolor.media.process import EndedEarly, Process, file_url, run


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A finished stretch of the colored film: a file with the picture alone."""

    path: Path
    first_pts: int
    """Timestamp of the first frame, in units of the film's time base."""
    frames: int


class PieceWriter:
    """Takes chroma, frame by frame."""

    def __init__(
        self, process: Process, path: Path, chroma_size: tuple[int, int], time_base: Fraction
    ) -> None:
        self._process = process
        self._path = path
        self._shape = (2, chroma_size[1], chroma_size[0])
        self._first_pts: int | None = None
        self.frames = 0
        self._process.send(_ivf_header(chroma_size, time_base))

    def write(self, pts: int, chroma: np.ndarray) -> None:
        """Give the frame at `pts` (in the film's time base) its color.

        chroma: (2, h, w) uint8, Cb then Cr, code values in the film's range, neutral at 128.
        Raises MediaError when the encoder has died.
        """
        if chroma.shape != self._shape or chroma.dtype != np.uint8:
            raise ValueError(f"{chroma.shape = } {chroma.dtype = }, not {self._shape} uint8")
        self._process.send(struct.pack("<IQ", chroma.size, pts & (2**64 - 1)))
        self._process.send(np.ascontiguousarray(chroma).data)
        if self._first_pts is None:
            self._first_pts = pts
        self.frames += 1

    @property
    def piece(self) -> Piece:
        """What was written. Complete once the `with` block of `write_piece` has been left."""
        if self._first_pts is None:
            raise MediaError(f"no frame was written to {self._path}")
        return Piece(path=self._path, first_pts=self._first_pts, frames=self.frames)


@contextmanager
def write_piece(
    film: Film,
    piece: Path,
    chroma_size: tuple[int, int],
    settings: EncodeSettings,
    *,
    start: float | None = None,
) -> Iterator[PieceWriter]:
    """Encode the frames of `film` whose chroma is written, each under its own timestamp.

    piece: appears under this name when it is complete, and only then.
    chroma_size: (width, height) of the chroma planes that will be written.
    start: seconds from the film's start to the first frame that will be written, or less.
    Raises MediaError when the encoder fails; EndedEarly when it finds fewer frames than written.
    """
    settings = complete(film, settings)
    part = piece.with_name(piece.name + ".part")
    try:
        with run(
            _command(film, part, settings, start), f"write {piece}", stdin=subprocess.PIPE
        ) as process:
            writer = PieceWriter(process, piece, chroma_size, film.time_base)
            yield writer
            process.finish()
        _check_count(part, writer.frames, film)
        part.replace(piece)
    finally:
        part.unlink(missing_ok=True)


def _ivf_header(chroma_size: tuple[int, int], time_base: Fraction) -> bytes:
    """IVF carries raw gray pictures (Y800), here Cb above Cr, under 64-bit timestamps."""
    width, height = chroma_size
    rate, scale = time_base.denominator, time_base.numerator
    return b"DKIF" + struct.pack(
        "<HH4sHHIIII", 0, 32, b"Y800", width, 2 * height, rate, scale, 0, 0
    )


def _command(film: Film, part: Path, settings: EncodeSettings, start: float | None) -> Any:
    assert settings.codec is not None
    video = graph.source(film, start=start)[str(film.video_index)]
    chroma = ffmpeg.input("pipe:0", f="ivf", protocol_whitelist="pipe", thread_queue_size=64)
    luma = graph.luma(film, video, depth=merged_format(settings).depth)
    return ffmpeg.output(
        merged_picture(film, luma, chroma["v"], settings),
        file_url(part),
        f=piece_muxer(settings.codec),
        pix_fmt=settings.pix_fmt,
        color_range=color_tags(film)["color_range"],
        fps_mode="passthrough",
        enc_time_base=graph.time_base(film),
        video_track_timescale=film.time_base.denominator,
        **encoder_options(film, settings),
    )


def frames_in(piece: Path) -> int:
    """How many frames a finished piece says that it holds; 0 where it cannot be read."""
    try:
        with open_film(piece) as container:
            return container.streams.video[0].frames
    except (av.error.FFmpegError, OSError, IndexError):
        return 0


def _check_count(part: Path, written: int, film: Film) -> None:
    """Either input ending early would end the piece without a word."""
    found = frames_in(part)
    if found != written:
        raise EndedEarly(
            f"{written} frames were colored, but {found} were found again in {film.path}; "
            "check that the film is not damaged or still being written"
        )
