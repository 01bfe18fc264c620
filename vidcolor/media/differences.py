"""What the result does not hold as the source does, found by probing both."""

from collections.abc import Sequence

from vidcolor.media.carry import Carried
from vidcolor.media.merge import color_tags
from vidcolor.media.pixels import planar_name
from vidcolor.media.probe import Film, Stream

_UNKNOWN_LANGUAGES = (None, "und")

_TAG_NAMES = {
    "color_range": "range",
    "colorspace": "matrix",
    "color_primaries": "primaries",
    "color_trc": "transfer curve",
}


def find_differences(
    film: Film, result: Film, carried: Sequence[Carried], suffix: str
) -> list[str]:
    """A warning for everything that `result` does not say as `film` does, with a remedy.

    result: the colored film, probed.
    carried: the streams of it that follow the picture.
    suffix: of the container that it is to have.
    """
    elsewhere = "" if suffix.lower() == ".mkv" else "; .mkv holds it"
    warnings = [*_fields(film, result, suffix), *_colors(film, result, elsewhere)]
    if film.other_matrix:
        matrix = {"bt601": "BT.601", "bt709": "BT.709", "bt2020": "BT.2020"}[film.matrix]
        warnings.append(
            f"the source's colors are coded with {film.other_matrix}; its luma is kept, and the "
            f"new colors are {matrix}"
        )
    if film.alpha:
        warnings.append("transparency was left out: colored films have none")
    if film.captions and not result.captions:
        warnings.append(
            "closed captions inside the picture were left out; "
            'ffmpeg -f lavfi -i "movie=FILM[out+subcc]" -map s FILM.srt saves them'
        )
    if film.timecode and not result.timecode:
        warnings.append(f"the timecode was left out: {suffix} cannot hold it{elsewhere}")
    for each, written in zip(carried, result.streams[1:], strict=False):
        lost = _lost_labels(each.stream, written)
        if lost:
            name = f"{each.stream.kind} stream {each.stream.index}"
            warnings.append(f"{name} is no longer marked as {', '.join(lost)}{elsewhere}")
    return warnings


def _fields(film: Film, result: Film, suffix: str) -> list[str]:
    if result.field_order == film.field_order:
        return []
    if suffix.lower() == ".webm":
        remedy = ".mkv holds the marks"
    else:
        remedy = f"--codec libx264 --pix-fmt {planar_name((1, 0), min(film.bit_depth, 10))} can"
    return [
        "frames of two fields are no longer marked as such, and may be shown with combs; "
        f"{remedy}, or make one picture of both with --deinterlace"
    ]


def _colors(film: Film, result: Film, elsewhere: str) -> list[str]:
    wanted, found = color_tags(film), color_tags(result)
    lost = [_TAG_NAMES[option] for option, tag in wanted.items() if found.get(option) != tag]
    dimmed = [name for name in film.light if name not in result.light]
    said = "colors are no longer marked with their"
    warnings = [f"{said} {', '.join(lost)}{elsewhere}"] if lost else []
    if dimmed:
        remedy = "libx265 keeps them with a recent ffmpeg (`vidcolor info` shows which is used)"
        warnings.append(f"{said} {', '.join(dimmed)}; {remedy}")
    return warnings


def _lost_labels(stream: Stream, written: Stream) -> list[str]:
    lost = []
    if stream.language not in _UNKNOWN_LANGUAGES and written.language in _UNKNOWN_LANGUAGES:
        lost.append(f'"{stream.language}"')
    lost += [f'"{mark}"' for mark in stream.disposition if mark not in written.disposition]
    return lost
