"""A piece of the colored film: the film's own luma, our chroma, no sound."""

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import ffmpeg
import numpy as np

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.containers import (
    KEEPS_ODD_SIZE,
    EncodeSettings,
    complete,
    encoder_options,
    merged_format,
    piece_muxer,
)
from vidcolor.media.pixels import PixelFormat, pixel_format, planar_name
from vidcolor.media.probe import Film
from vidcolor.media.process import Process, file_url, run


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
    Raises MediaError when the encoder fails or finds fewer frames than were written.
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
    return ffmpeg.output(
        _colored(film, graph.luma(film, video), chroma["v"], settings),
        file_url(part),
        f=piece_muxer(settings.codec),
        pix_fmt=settings.pix_fmt,
        color_range=color_tags(film)["color_range"],
        fps_mode="passthrough",
        enc_time_base=graph.time_base(film),
        video_track_timescale=film.time_base.denominator,
        **encoder_options(film, settings),
    )


def _colored(film: Film, luma: Any, chroma: Any, settings: EncodeSettings) -> Any:
    """Merge luma (gray, full size) and chroma (gray, small, Cb above Cr) into one picture."""
    merged = merged_format(settings)
    luma = _padded(film, _deepened(film, luma, merged), settings)
    halves = chroma.split()
    planes = [
        luma,
        _chroma_plane(halves[0], "0", padded_size(film, settings), merged),
        _chroma_plane(halves[1], "ih/2", padded_size(film, settings), merged),
    ]
    if settings.compare:
        planes = _beside_source(planes, merged)
    # Plane n of the result is plane 0 of input n.
    mapping = {
        f"map{plane}{what}": plane if what == "s" else 0 for plane in range(3) for what in "sp"
    }
    picture = ffmpeg.filter(
        planes, "mergeplanes", **mapping, format=planar_name(merged.subsampling, merged.depth)
    )
    aspect = f"{film.sample_aspect.numerator}/{film.sample_aspect.denominator}"
    tags = color_tags(film)
    tags["range"] = tags.pop("color_range")
    if film.field_order is not None:
        tags["field_mode"] = film.field_order
    # A piece starts at zero, whatever the film does; joining puts it into its place.
    return (
        picture.filter("setpts", "PTS-STARTPTS")
        .filter("setsar", aspect, max=2**31 - 1)
        .filter("setparams", **tags)
    )


def _deepened(film: Film, luma: Any, merged: PixelFormat) -> Any:
    """`luma` with as many bits as the encoder gets; untouched where they are the same."""
    if pixel_format(film.pixel_format).depth == merged.depth:
        return luma
    same = graph.color_range(film)
    return luma.filter("scale", in_range=same, out_range=same).filter(
        "format", planar_name(None, merged.depth)
    )


def padded_size(film: Film, settings: EncodeSettings) -> tuple[int, int]:
    """Size of the colored picture: odd sizes grow by one where the codec needs even ones."""
    across, down = merged_format(settings).subsampling or (0, 0)
    if KEEPS_ODD_SIZE.search(settings.codec or "") and not settings.compare:
        return film.width, film.height
    return _round_up(film.width, across) << across, _round_up(film.height, down) << down


def output_size(film: Film, settings: EncodeSettings) -> tuple[int, int]:
    """(width, height) of what is encoded."""
    width, height = padded_size(film, settings)
    return (2 * width if settings.compare else width), height


def _round_up(size: int, shift: int) -> int:
    """Size of a plane that has one sample for 2**shift luma samples."""
    return (size + (1 << shift) - 1) >> shift


def _padded(film: Film, luma: Any, settings: EncodeSettings) -> Any:
    """`luma` with its last column and row repeated up to the size that the codec needs."""
    width, height = padded_size(film, settings)
    right, bottom = width - film.width, height - film.height
    if not right and not bottom:
        return luma
    wide = luma.filter("pad", width, height, 0, 0)
    return wide.filter("fillborders", right=right, bottom=bottom, mode="smear")


def _chroma_plane(both: Any, top: str, luma_size: tuple[int, int], merged: PixelFormat) -> Any:
    across, down = merged.subsampling or (0, 0)
    width, height = _round_up(luma_size[0], across), _round_up(luma_size[1], down)
    return (
        both.filter("crop", "iw", "ih/2", "0", top)
        .filter("scale", width, height, flags="bicubic", in_range="full", out_range="full")
        .filter("format", planar_name(None, merged.depth))
        .filter("setsar", 1)
    )


def _beside_source(planes: list[Any], merged: PixelFormat) -> list[Any]:
    """Every plane twice side by side, the left half without color."""
    neutral = 1 << (merged.depth - 1)
    doubled = []
    for number, plane in enumerate(planes):
        halves = plane.split()
        left = halves[0] if number == 0 else halves[0].filter("limiter", min=neutral, max=neutral)
        doubled.append(ffmpeg.filter([left, halves[1]], "hstack"))
    return doubled


def color_tags(film: Film) -> dict[str, Any]:
    """ffmpeg's color options for the result; unknown tags are left out."""
    color_space = film.color_space
    if pixel_format(film.pixel_format).rgb:
        color_space = {"bt709": 1, "bt601": 6}[film.matrix]
    tags = {
        "color_range": "pc" if film.full_range else "tv",
        "colorspace": color_space,
        "color_primaries": film.color_primaries,
        "color_trc": film.color_transfer,
    }
    return {option: value for option, value in tags.items() if value is not None}


def _check_count(part: Path, written: int, film: Film) -> None:
    """Either input ending early would end the piece without a word."""
    try:
        with av.open(str(part)) as container:
            found = container.streams.video[0].frames
    except (av.error.FFmpegError, IndexError):
        found = 0
    if found != written:
        raise MediaError(
            f"{written} frames were colored, but {found} were found again in {film.path}; "
            "is the film still being written, or damaged?"
        )
