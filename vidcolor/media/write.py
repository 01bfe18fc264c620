"""A piece of the colored film: the film's own luma, our chroma, no sound."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av.error
import ffmpeg
import numpy as np

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.carrier import Carrier
from vidcolor.media.containers import EncodeSettings, complete, encoder_options, piece_muxer
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
        self, process: Process, path: Path, chroma_size: tuple[int, int], carrier: Carrier
    ) -> None:
        self._process = process
        self._path = path
        self._shape = (2, chroma_size[1], chroma_size[0])
        self._carrier = carrier
        self._first_pts: int | None = None
        self.frames = 0
        self._process.send(carrier.header)

    def write(self, pts: int, chroma: np.ndarray, luma: np.ndarray | None = None) -> None:
        """Give the frame at `pts` (in the film's time base) its color.

        chroma: (2, h, w) uint8, Cb then Cr, code values in the film's range, neutral at 128.
        luma: as of `LumaFrame.full`, where the piece is made of it.
        Raises MediaError when the encoder has died.
        """
        if chroma.shape != self._shape or chroma.dtype != np.uint8:
            raise ValueError(f"{chroma.shape = } {chroma.dtype = }, not {self._shape} uint8")
        for part in self._carrier.packet(pts, chroma, luma):
            self._process.send(part)
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
    luma: bool = False,
) -> Iterator[PieceWriter]:
    """Encode the frames of `film` whose chroma is written, each under its own timestamp.

    piece: appears under this name when it is complete, and only then.
    chroma_size: (width, height) of the chroma planes that will be written.
    start: seconds from the film's start to the first frame that will be written, or less.
    luma: whether luma will be written with the chroma; without it, the film is decoded once more.
    Raises MediaError when the encoder fails; EndedEarly when it finds fewer frames than written.
    """
    settings = complete(film, settings)
    carrier = Carrier(film, settings, chroma_size, luma=luma, start=start)
    part = piece.with_name(piece.name + ".part")
    try:
        with run(
            _command(film, part, settings, carrier), f"write {piece}", stdin=subprocess.PIPE
        ) as process:
            process.widen_pipes(carrier.picture_bytes)
            writer = PieceWriter(process, piece, chroma_size, carrier)
            yield writer
            process.finish()
        _check_count(part, writer.frames, film)
        part.replace(piece)
    finally:
        part.unlink(missing_ok=True)


def _command(film: Film, part: Path, settings: EncodeSettings, carrier: Carrier) -> Any:
    assert settings.codec is not None
    luma, chroma = carrier.luma_and_chroma()
    return ffmpeg.output(
        merged_picture(film, luma, chroma, settings),
        file_url(part),
        f=piece_muxer(settings.codec),
        pix_fmt=settings.pix_fmt,
        color_range=color_tags(film)["color_range"],
        fps_mode="passthrough",
        enc_time_base=graph.time_base(film),
        video_track_timescale=film.time_base.denominator,
        map_metadata=-1,  # joining takes them from the film
        map_chapters=-1,
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
