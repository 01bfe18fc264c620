"""Finished pieces and the source's other streams are joined to the colored film."""

import re
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.carry import (
    Carried,
    attach_options,
    carried_streams,
    codec_options,
    readable_streams,
)
from vidcolor.media.containers import muxer
from vidcolor.media.differences import find_differences
from vidcolor.media.merge import color_tags
from vidcolor.media.probe import Film, Stream, probe
from vidcolor.media.process import Interrupted, file_url, run
from vidcolor.media.publish import published
from vidcolor.media.write import Piece

FINEST_TIMESCALE = 1_000_000
"""Ticks per second that every player of MP4 takes."""

_QUICKTIME_LANGUAGES = {
    **{"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "hye": "arm"},
    **{"kat": "geo", "eus": "baq", "cym": "wel", "msa": "may", "mya": "bur", "bod": "tib"},
    **{"fre": "fra", "cze": "ces", "rum": "ron", "slo": "slk", "swe": "sve", "sqi": "alb"},
}
"""The spelling of ISO 639-2 that ffmpeg's writer of QuickTime knows."""

SOUND_RATE = 48_000
"""Ticks per second that the clock of a whole film has at least, so that sound is placed exactly."""

LONGEST_TITLE = {"mp4": 1000, "mov": 127}
"""Bytes of a track's name; QuickTime counts them in one byte, which ffmpeg reads as signed."""

LONGEST_COMMENT = 60_000
"""Bytes of the source's comment that are kept; an argument of a process holds 128 kB."""

LONGEST_PRIMING = 0.25
"""Seconds of sound before zero that are an encoder's priming."""

ONLY_AT_THE_END = 10**6
"""Seconds between two reports of ffmpeg's progress."""

_FRAMES = re.compile(rb"^frame=\s*(\d+)", re.MULTILINE)


def join(
    film: Film,
    pieces: Sequence[Piece],
    target: Path,
    *,
    start: float | None = None,
    end: float | None = None,
    comment: str | None = None,
    on_complete: Callable[[Path], object] = lambda unfinished: None,
) -> list[str]:
    """Put the pieces one after the other, with the film's sound, subtitles, chapters and metadata.

    Nothing is encoded again. `target` appears when it is complete.
    pieces: in the order of time, all in one folder, on the target's disk.
    start, end: seconds of the film, if the pieces are only that stretch of it; sound and subtitles
    are cut to it, and the result starts at zero.
    comment: added to the comment that the source's container has.
    on_complete: called with the path of the complete film just before it is renamed to `target`.
    Returns a warning for everything that the result does not hold as the source does.
    Raises MediaError when the film cannot be written.
    """
    carried, warnings = carried_streams(film, muxer(target.suffix))
    with published(target, pieces[0].path.absolute().parent, on_complete) as unfinished:
        doing = f"write {target}"
        try:
            _write(film, pieces, unfinished, carried, doing, start, end, comment)
        except Interrupted:
            raise
        except MediaError:
            readable, damage = readable_streams(film, muxer(target.suffix), carried)
            if readable == carried:
                raise
            carried, warnings = readable, warnings + damage
            _write(film, pieces, unfinished, carried, doing, start, end, comment)
        warnings += _shortened_titles(carried, target.suffix)
        warnings += find_differences(film, probe(unfinished), carried, target.suffix)
    return warnings


def _write(
    film: Film,
    pieces: Sequence[Piece],
    unfinished: Path,
    carried: Sequence[Carried],
    doing: str,
    start: float | None,
    end: float | None,
    comment: str | None,
) -> None:
    """Write the pieces and these streams of the source to `unfinished`."""
    mapped = [each for each in carried if each.codec != "attach"]
    cover = next((each.stream for each in carried if each.codec == "attach"), None)
    first = pieces[0].first_pts * film.time_base
    trial = start is not None or end is not None
    shift = Fraction(0) if trial else _shift(first, mapped)
    options = _target_options(film, pieces[0], unfinished)
    if comment:
        options["metadata:g"] = f"comment={_joined_comment(film.comment, comment)}"
    for number, stream in enumerate([_picture(film), *(each.stream for each in mapped)]):
        options |= _labels(stream, number, options["f"])
    if trial:
        options["copypriorss"] = 0  # no sound from before the first frame
    if end is not None:
        options["t"] = _seconds(graph.pts_at(film, end) * film.time_base - first)
    picture = ffmpeg.input(
        "pipe:0",
        f="concat",
        safe=0,
        protocol_whitelist="file,pipe",
        format_whitelist="concat,mov",
        itsoffset=_seconds(Fraction(0) if trial else first + shift),
    )
    source = graph.source(film, shift_to_zero=first if trial else None, offset=shift)
    command = ffmpeg.output(
        picture["v:0"],
        # A map that matches nothing keeps a source of metadata alone among the inputs.
        *([source[str(each.stream.index)] for each in mapped] or [source["d:99?"]]),
        file_url(unfinished),
        # A piece that cannot be read is passed over without an error, so the frames are counted.
        progress="pipe:1",
        stats_period=ONLY_AT_THE_END,
        **options,
        **codec_options(mapped, first=1),
        **(attach_options(film, cover, unfinished.parent, 1 + len(mapped)) if cover else {}),
    )
    folder = pieces[0].path.absolute().parent
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with run(command, doing, cwd=folder, **pipes) as process:
        process.send(_playlist(film, pieces).encode())
        process.finish()
        written = _frames_written(process.stdout.read())
    frames = sum(piece.frames for piece in pieces)
    if written != frames:
        raise MediaError(
            f"cannot {doing}: only {written} of {frames} frames can be read from the finished "
            "pieces; run it again, or add --fresh to start over"
        )


def _shift(first: Fraction, carried: Sequence[Carried]) -> Fraction:
    """Seconds by which everything is moved, so that no timestamp is lost.

    A clock that wraps soon after the start, as in MPEG, is read as starting before zero, and no
    container holds that. Sound alone may begin a little before zero: its encoder's priming.
    first: timestamp of the first frame, in seconds.
    """
    starts = [each.stream.start for each in carried if each.stream.start is not None]
    begin = min([first, *map(Fraction, starts)])
    if first >= 0 and begin > -LONGEST_PRIMING:
        return Fraction(0)
    return -begin


def _joined_comment(old: str | None, new: str) -> str:
    if not old or new in old:
        return old or new
    return f"{_shorten(old, LONGEST_COMMENT)}\n{new}"


def _shorten(text: str, size: int) -> str:
    """`text` cut to so many bytes of UTF-8."""
    return text.encode(errors="replace")[:size].decode(errors="ignore")


def _shortened_titles(carried: Sequence[Carried], suffix: str) -> list[str]:
    size = LONGEST_TITLE.get(muxer(suffix))
    return [
        f"the title of {each.stream.kind} stream {each.stream.index} was shortened to "
        f"{size} bytes; .mkv holds all of it"
        for each in carried
        if size and each.stream.title and _shorten(each.stream.title, size) != each.stream.title
    ]


def _frames_written(progress: bytes) -> int:
    """Pictures that went into the result, by the last of ffmpeg's reports."""
    counts = _FRAMES.findall(progress)
    return int(counts[-1]) if counts else 0


def _target_options(film: Film, piece: Piece, target: Path) -> dict[str, Any]:
    """Everything about the target that does not depend on the carried streams."""
    options: dict[str, Any] = {
        "f": muxer(target.suffix),
        "c:0": "copy",
        "map_metadata": 1,
        "map_chapters": 1,
        "strict": "experimental",
        # Tags that the codec does not carry itself would be lost on the way through the piece.
        **{f"{option}:0": value for option, value in color_tags(film).items()},
    }
    if options["f"] == "matroska":
        # Left alone, older versions move every stream when the sound starts before zero.
        options["avoid_negative_ts"] = "disabled"
    if options["f"] in ("mp4", "mov"):
        options["movflags"] = "+faststart"
        ticks = film.time_base.denominator
        if ticks <= FINEST_TIMESCALE:
            options["video_track_timescale"] = ticks
            options["movie_timescale"] = ticks * max(1, -(-SOUND_RATE // ticks))
        if probe(piece.path).codec == "hevc":
            options["tag:0"] = "hvc1"  # without it Apple's players show nothing
    return options


def _picture(film: Film) -> Stream:
    return next(stream for stream in film.streams if stream.index == film.video_index)


def _labels(stream: Stream, number: int, muxer: str) -> dict[str, Any]:
    """Options that label a stream of the result as `stream`, which it comes from, is labeled."""
    labels = {
        f"map_metadata:s:{number}": f"1:s:{stream.index}",
        # Left out, ffmpeg marks one stream of each kind as the default.
        f"disposition:{number}": "+".join(stream.disposition) or "0",
    }
    metadata = []
    if number == 0:
        metadata.append("encoder=")  # the source's own, which no longer holds
    if muxer in ("mp4", "mov") and stream.title:
        # These have no other name for a track.
        metadata.append(f"handler_name={_shorten(stream.title, LONGEST_TITLE[muxer])}")
    if muxer == "mov" and stream.language in _QUICKTIME_LANGUAGES:
        metadata.append(f"language={_QUICKTIME_LANGUAGES[stream.language]}")
    for place, entry in enumerate(metadata):
        # The same option can be given once: each entry spells the stream's number differently.
        labels[f"metadata:s:0x{'0' * place}{number:x}"] = entry
    return labels


def _playlist(film: Film, pieces: Sequence[Piece]) -> str:
    """The pieces for ffmpeg's concat demuxer, each lasting until the next one starts.

    Durations are differences of rounded starts, so that rounding does not add up.
    """
    starts = [round(piece.first_pts * film.time_base * 1_000_000) for piece in pieces]
    lines = ["ffconcat version 1.0"]
    for number, piece in enumerate(pieces):
        name = piece.path.name.replace("'", r"'\''")
        lines.append(f"file 'file:{name}'")
        if number + 1 < len(pieces) and starts[number + 1] > starts[number]:
            lines.append(f"duration {starts[number + 1] - starts[number]}us")
    return "\n".join(lines) + "\n"


def _seconds(time: Fraction) -> str:
    return f"{float(time):.6f}"
