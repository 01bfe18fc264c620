"""The part of the filter graph that reading and writing share: a film's own luma.

Both processes decode the same file in the same way, so that their frames pair by timestamp.
"""

from fractions import Fraction
from typing import Any

import ffmpeg

from vidcolor.media.limits import input_options
from vidcolor.media.pixels import pixel_format, planar_name
from vidcolor.media.probe import Film
from vidcolor.media.process import file_url

SEEK_MARGIN = 10.0
"""Seconds to start early, so that a keyframe lies before the first frame that is wanted."""


def source(
    film: Film,
    *,
    start: float | None = None,
    shift_to_zero: Fraction | None = None,
    offset: Fraction | None = None,
) -> Any:
    """`film` as an input of ffmpeg. At most one of these is given:

    start: open it some seconds before this time of the film.
    shift_to_zero: open it at this timestamp, in seconds, and make that zero.
    offset: seconds to add to all timestamps.
    """
    seek: dict[str, Any] = {}
    if start is not None and start > SEEK_MARGIN:
        at = (film.start or 0.0) + start - SEEK_MARGIN
        seek = {"noaccurate_seek": None, "seek_timestamp": 1, "ss": f"{at:.6f}"}
    elif shift_to_zero:
        at = float(shift_to_zero)
        seek = {"seek_timestamp": 1, "ss": f"{at:.6f}", "itsoffset": f"{-at:.6f}"}
    elif offset:
        seek = {"itsoffset": f"{float(offset):.6f}"}
    return ffmpeg.input(
        file_url(film.path),
        **input_options(film.container),
        # A change of size is left to the scale filter; the graph goes on.
        **{"reinit_filter:v": 0},
        **seek,
    )


def time_base(film: Film) -> str:
    return f"{film.time_base.numerator}:{film.time_base.denominator}"


def color_range(film: Film) -> str:
    return "full" if film.full_range else "limited"


def luma(
    film: Film,
    stream: Any,
    *,
    depth: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> Any:
    """The luma plane of `stream` at full size, in code values, as a gray picture.

    depth: bits of a sample; the film's own if None.
    start, end: keep only the frames with start <= time < end, in seconds of the film.
    """
    # The range is named on both sides of every scale: left out, some versions expand it.
    size = {"w": film.width, "h": film.height}
    if film.other_matrix:
        stream = stream.filter("setparams", colorspace="unknown")  # scale refuses those
    if pixel_format(film.pixel_format).rgb:
        flags = "bicubic+accurate_rnd+full_chroma_inp"
        picture = stream.filter(
            "scale", **size, flags=flags, out_range="limited", out_color_matrix=film.matrix
        )
    else:
        same = color_range(film)
        picture = stream.filter("scale", **size, flags="bicubic", in_range=same, out_range=same)
    picture = picture.filter("format", _planar(film, depth or film.bit_depth))
    if film.deinterlace:
        picture = picture.filter("bwdif", mode="send_frame", deint="interlaced")
    # After bwdif, which halves the unit of time.
    picture = picture.filter("settb", time_base(film).replace(":", "/"))
    if start is not None or end is not None:
        picture = picture.filter("trim", **_stretch(film, start, end))
    return picture.filter("extractplanes", "y").filter("setsar", 1)


def _planar(film: Film, depth: int) -> str:
    """The pixel format from which luma is taken: the film's own planes, if it has some.

    Depth is changed here and not in the gray picture, which some versions take for full range.
    """
    if film.pixel_format.startswith("yuvj") and depth == film.bit_depth:
        return film.pixel_format
    pixels = pixel_format(film.pixel_format)
    if pixels.gray and not (film.deinterlace and depth > 8):  # bwdif knows no deep gray
        return planar_name(None, depth)
    return pixels.planar if depth == film.bit_depth else planar_name((1, 1), depth)


def _stretch(film: Film, start: float | None, end: float | None) -> dict[str, int]:
    stretch = {}
    if start is not None:
        stretch["start_pts"] = pts_at(film, start)
    if end is not None:
        stretch["end_pts"] = pts_at(film, end)
    return stretch


def pts_at(film: Film, seconds: float) -> int:
    """The first timestamp that is not before `seconds` of the film."""
    begin = round((film.start or 0.0) / film.time_base)
    # Rounded first, so that 1.2 s is frame 30 at 25 fps although 1.2 is no binary fraction.
    offset = -(-round(seconds / film.time_base * 1000) // 1000)
    return begin + offset
