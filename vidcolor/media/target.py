"""Whether a film can be written, checked by a trial before hours of work."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av.error
import ffmpeg

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.binary import choose_ffmpeg
from vidcolor.media.containers import (
    AUTO_HARDWARE,
    HARDWARE,
    EncodeSettings,
    complete,
    encoder_options,
    merged_format,
    muxer,
    piece_muxer,
)
from vidcolor.media.limits import open_film
from vidcolor.media.merge import output_size
from vidcolor.media.pixels import pixel_format
from vidcolor.media.probe import Film
from vidcolor.media.process import Interrupted, file_url, run
from vidcolor.media.publish import refuse_source, work_folder

SMALLEST_SIDE = 16
"""Pixels; encoders that refuse a picture of this size or more do so for another reason."""


def check_target(film: Film, target: Path, settings: EncodeSettings) -> EncodeSettings:
    """Make sure that `film` can be written to `target`, by encoding a few frames of its size.

    Returns `settings` with the defaults for the film and the container filled in.
    Raises MediaError for a container or an encoder that is unknown, that does not run on this
    machine or that does not fit the other, for a folder that cannot be written, and for a target
    that is the source itself.
    """
    if settings.codec == AUTO_HARDWARE:
        depth = min(depth for depth in HARDWARE if depth >= min(film.bit_depth, max(HARDWARE)))
        for codec in HARDWARE[depth]:
            with suppress(MediaError):
                return check_target(film, target, replace(settings, codec=codec))
    muxer(target.suffix)
    if target.is_dir():
        raise MediaError(f"{target} is a folder; name a file in it")
    refuse_source(film.path, target)
    settings = complete(film, settings, target.suffix)
    merged_format(settings)
    with work_folder(target.parent) as folder:
        piece = folder / "piece"
        _encode(film, piece, settings)
        _check_pixels(piece, settings)
        _wrap(piece, folder / "film", target, settings)
    return settings


def _encode(film: Film, piece: Path, settings: EncodeSettings) -> None:
    """Encode three black frames."""
    assert settings.codec is not None
    width, height = output_size(film, settings)
    black = ffmpeg.input(f"color=size={width}x{height}:rate=25", f="lavfi")
    output = ffmpeg.output(
        black["v"],
        file_url(piece),
        f=piece_muxer(settings.codec),
        pix_fmt=settings.pix_fmt,
        enc_time_base=graph.time_base(film),
        **{"frames:v": 3},
        **encoder_options(film, settings),
    )
    try:
        _run(output, f"encode with {settings.codec}")
    except Interrupted:
        raise
    except MediaError as error:
        remedy = "check --codec, --preset, --crf and --pix-fmt, or leave them out"
        if min(width, height) < SMALLEST_SIDE:
            remedy = (
                f"few encoders take a picture as small as {film.width}x{film.height}; "
                "enlarge it first: ffmpeg -i FILM -vf scale=16*iw:-2 LARGER.mkv"
            )
        if other := choose_ffmpeg().with_encoder(settings.codec):
            remedy = f"set VIDCOLOR_FFMPEG={other.path}, which has it"
        raise MediaError(f"{error}; {remedy}") from error


def _check_pixels(piece: Path, settings: EncodeSettings) -> None:
    """Make sure that the encoder did not replace the pixel format by another, without an error."""
    try:
        with open_film(piece) as container:
            found = next(container.decode(video=0)).format.name
    except (av.error.FFmpegError, StopIteration) as error:
        raise MediaError(
            f"what {settings.codec} encodes cannot be read again; choose another codec"
        ) from error
    encoded, wanted = pixel_format(found), merged_format(settings)
    if encoded.depth < wanted.depth or encoded.subsampling != wanted.subsampling:
        raise MediaError(
            f"{settings.codec} encodes {found}, not {settings.pix_fmt}; "
            f"add --pix-fmt {found} or choose another codec"
        )


def _wrap(piece: Path, trial: Path, target: Path, settings: EncodeSettings) -> None:
    """Put the piece into the target's container."""
    source = ffmpeg.input(file_url(piece), protocol_whitelist="file")
    options: dict[str, Any] = {"f": muxer(target.suffix), "c": "copy", "strict": "experimental"}
    try:
        _run(ffmpeg.output(source["v:0"], file_url(trial), **options), "wrap")
    except Interrupted:
        raise
    except MediaError as error:
        raise MediaError(
            f"{target.suffix} cannot hold {settings.codec}; choose a .mkv target or another codec"
        ) from error


def _run(output: Any, doing: str) -> None:
    with run(output, doing) as process:
        process.finish()
