"""The part of the filter graph that only writing has: luma and small chroma become one picture."""

from typing import Any

import ffmpeg

from vidcolor.media.containers import KEEPS_ODD_SIZE, EncodeSettings, merged_format
from vidcolor.media.pixels import PixelFormat, pixel_format, planar_name
from vidcolor.media.probe import Film


def merged_picture(film: Film, luma: Any, chroma: tuple[Any, Any], settings: EncodeSettings) -> Any:
    """What is encoded, as an ffmpeg-python stream.

    luma: gray pictures of the film's size, as deep as the result.
    chroma: gray pictures of any size, as deep or of 8 bits: Cb and Cr.
    """
    merged = merged_format(settings)
    luma = _padded(film, luma, settings)
    size = chroma_size(film, settings)
    planes = [
        luma,
        *(_chroma_plane(plane, size, merged) for plane in chroma),
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
    if film.field_order is not None or film.deinterlace:
        tags["field_mode"] = film.field_order or "prog"
    # A piece starts at zero, whatever the film does; joining puts it into its place.
    return (
        picture.filter("setpts", "PTS-STARTPTS")
        .filter("setsar", aspect, max=2**31 - 1)
        .filter("setparams", **tags)
    )


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


def output_size(film: Film, settings: EncodeSettings) -> tuple[int, int]:
    """(width, height) of what is encoded."""
    width, height = _padded_size(film, settings)
    return (2 * width if settings.compare else width), height


def chroma_size(film: Film, settings: EncodeSettings) -> tuple[int, int]:
    """(width, height) of the planes that chroma is encoded in; chroma of this size is not scaled.

    settings: made complete.
    """
    width, height = _padded_size(film, settings)
    across, down = merged_format(settings).subsampling or (0, 0)
    return _round_up(width, across), _round_up(height, down)


def _padded_size(film: Film, settings: EncodeSettings) -> tuple[int, int]:
    """Size of the colored picture: odd sizes grow by one where the codec needs even ones."""
    across, down = merged_format(settings).subsampling or (0, 0)
    if KEEPS_ODD_SIZE.search(settings.codec or "") and not settings.compare:
        return film.width, film.height
    return _round_up(film.width, across) << across, _round_up(film.height, down) << down


def _padded(film: Film, luma: Any, settings: EncodeSettings) -> Any:
    """`luma` with its last column and row repeated up to the size that the codec needs."""
    width, height = _padded_size(film, settings)
    right, bottom = width - film.width, height - film.height
    if not right and not bottom:
        return luma
    wide = luma.filter("pad", width, height, 0, 0)
    return wide.filter("fillborders", right=right, bottom=bottom, mode="smear")


def _chroma_plane(plane: Any, size: tuple[int, int], merged: PixelFormat) -> Any:
    return (
        plane.filter("scale", *size, flags="bicubic", in_range="full", out_range="full")
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


def _round_up(size: int, shift: int) -> int:
    """Size of a plane that has one sample for 2**shift luma samples."""
    return (size + (1 << shift) - 1) >> shift
