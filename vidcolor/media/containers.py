"""Which container holds which codec, and what is encoded where nothing was asked for.

The defaults are those that most players decode: H.264 in 4:2:0 for 8 bits, VP9 in webm.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidcolor.errors import MediaError
from vidcolor.media.pixels import PixelFormat, pixel_format, planar_name
from vidcolor.media.probe import Film
from vidcolor.media.quality import quality_of, quality_options


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """How the picture is encoded; None is the default for the film and its container."""

    codec: str | None = None
    """ffmpeg's name of an encoder, for example libx264, libx265, h264_nvenc, ffv1; "auto-hw" for
    one in hardware, where the machine has one."""
    crf: int | None = None
    """Constant quality in the encoder's own scale; lower is better and larger. See `quality`."""
    preset: str | None = None
    """The encoder's name for how much time it may take."""
    pix_fmt: str | None = None
    """ffmpeg's name of the pixel format."""
    compare: bool = False
    """Put the source beside the colored picture, at double width."""


MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""ffmpeg's muxer for every suffix that a colored film can have."""

AUTO_HARDWARE = "auto-hw"
"""As a codec: the first of these that works on this machine for the film, else the default."""

HARDWARE = {
    8: ("h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf"),
    10: ("hevc_nvenc", "hevc_videotoolbox", "hevc_qsv"),
}
"""Encoders in hardware, by the most bits that they take. VAAPI is none of them: it takes only
pictures that are in its own memory already."""

DEFAULT_PRESET = {"libx264": "medium", "libx265": "medium"}

KEEPS_SUBSAMPLING = re.compile("ffv1|prores|dnxhd|utvideo|huffyuv|magicyuv")
"""Lossless and intermediate codecs, for which the source's own chroma size is kept."""

KEEPS_ODD_SIZE = re.compile("ffv1|vp9|utvideo|huffyuv|magicyuv")

KEEPS_FIELDS = ("libx264", "prores_ks", "dnxhd")
"""Encoders that keep the two fields of interlaced pictures apart."""

_EXTRA_OPTIONS: dict[str, dict[str, Any]] = {
    "libx265": {"x265-params": "log-level=error"},
    "libvpx-vp9": {"row-mt": 1, "cpu-used": 3},
    "libaom-av1": {"row-mt": 1, "cpu-used": 6},
    "ffv1": {"level": 3, "slicecrc": 1, "g": 1},
}


def default_suffix(source: Path) -> str:
    """The source's own suffix if a colored film can have it, else ".mkv", which holds the most."""
    return source.suffix if source.suffix.lower() in MUXERS else ".mkv"


def muxer(suffix: str) -> str:
    """ffmpeg's name of the muxer. Raises MediaError for a suffix that is not offered."""
    try:
        return MUXERS[suffix.lower()]
    except KeyError:
        known = ", ".join(MUXERS)
        raise MediaError(f'cannot write a film as "{suffix}"; choose one of {known}') from None


def complete(film: Film, settings: EncodeSettings, suffix: str = ".mkv") -> EncodeSettings:
    """`settings` with codec, crf, preset and pix_fmt filled in (None where there is none).

    Raises MediaError for "copy", which is no encoder.
    """
    wanted = None if settings.codec == AUTO_HARDWARE else settings.codec
    codec = wanted or _default_codec(film, suffix)
    if codec == "copy":
        raise MediaError(
            "the colored picture cannot be copied, it has to be encoded; leave --codec out, or "
            "name an encoder such as libx264"
        )
    quality = quality_of(codec)
    return replace(
        settings,
        codec=codec,
        crf=quality.default if quality and settings.crf is None else settings.crf,
        preset=settings.preset or DEFAULT_PRESET.get(codec),
        pix_fmt=settings.pix_fmt or _default_pixel_format(film, codec),
    )


def _default_codec(film: Film, suffix: str) -> str:
    if suffix.lower() == ".webm":
        return "libvpx-vp9"
    keeps_depth = film.bit_depth <= (10 if film.field_order else 8)  # libx265 knows no fields
    return "libx264" if keeps_depth else "libx265"


def _default_pixel_format(film: Film, codec: str) -> str:
    source = pixel_format(film.pixel_format)
    if not KEEPS_SUBSAMPLING.match(codec):
        # 12 bits are the most that the usual encoders take, and nothing lies between 8 and 10.
        depth = 8 if source.depth == 8 else 10 if source.depth <= 10 else 12
        return _semi_planar(codec, depth) or planar_name((1, 1), depth)
    subsampling = source.subsampling or (1, 1)
    if codec.startswith("prores"):
        return planar_name((0, 0) if subsampling == (0, 0) else (1, 0), 10)
    if codec == "dnxhd":
        return planar_name((1, 0), 8 if source.depth == 8 else 10)
    return planar_name(subsampling, source.depth)


def _semi_planar(codec: str, depth: int) -> str | None:
    """Hardware encoders take more than 8 bits only with interleaved chroma."""
    return "p010le" if depth > 8 and codec.endswith(("_nvenc", "_qsv", "_videotoolbox")) else None


def merged_format(settings: EncodeSettings) -> PixelFormat:
    """The planes that are merged before encoding. Raises MediaError when it is not YUV."""
    assert settings.pix_fmt is not None
    try:
        merged = pixel_format(settings.pix_fmt)
    except ValueError:
        merged = None
    if merged is None or merged.rgb or merged.subsampling is None:
        raise MediaError(
            f"{settings.pix_fmt} is not a YUV pixel format; choose one such as yuv420p"
        )
    return merged


def encoder_options(film: Film, settings: EncodeSettings) -> dict[str, Any]:
    """ffmpeg's output options for `film` and completed `settings`.

    Raises MediaError for a quality that the encoder does not have.
    """
    codec = settings.codec
    assert codec is not None
    options: dict[str, Any] = {
        "c:v": codec,
        **_EXTRA_OPTIONS.get(codec, {}),
        **quality_options(codec, settings.crf),
    }
    if codec == "dnxhd":
        options["profile:v"] = "dnxhr_hq" if settings.pix_fmt == "yuv422p" else "dnxhr_hqx"
    if settings.preset is not None:
        options["preset"] = settings.preset
    if film.field_order is not None and codec in KEEPS_FIELDS and _holds_fields(film, settings):
        options["flags"] = "+ildct+ilme"
    return options


def _holds_fields(film: Film, settings: EncodeSettings) -> bool:
    """Whether the rows of luma and of chroma can be divided evenly between two fields."""
    _, down = merged_format(settings).subsampling or (0, 0)
    return film.height % (2 << down) == 0


def piece_muxer(codec: str) -> str:
    """The container of a piece: exact timestamps, and a start that the joining can read."""
    return "mp4" if re.search("264|265|hevc|vp9|av1|mpeg4", codec) else "mov"
