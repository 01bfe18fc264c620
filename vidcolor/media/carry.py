"""Which of the source's other streams the target container can hold.

The muxer itself is asked, by letting ffmpeg write the header of a film without any packets: what
fits differs between versions of ffmpeg.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.containers import MUXERS
from vidcolor.media.probe import Film, Stream
from vidcolor.media.process import file_url, run

_TEXT_CODEC = {"mp4": "mov_text", "mov": "mov_text", "matroska": "srt", "webm": "webvtt"}
"""What text subtitles become in a container that cannot hold them as they are."""


@dataclass(frozen=True)
class Carried:
    """A stream of the source that goes into the colored film."""

    stream: Stream
    codec: str
    """"copy", or the text format that a subtitle has to be turned into."""


def carried_streams(film: Film, muxer: str) -> tuple[list[Carried], list[str]]:
    """What of `film` beside its picture goes into a container, and a warning for all that cannot.

    Data streams stay behind: timecode and chapter tracks are made anew by the muxer.
    """
    others = [s for s in film.streams if s.index != film.video_index and s.kind != "data"]
    copied = [Carried(stream, "copy") for stream in others]
    if not copied or _fits(film, muxer, copied):
        return copied, []
    carried: list[Carried] = []
    warnings: list[str] = []
    for stream in others:
        way = _way_in(film, muxer, stream)
        if way is not None:
            carried.append(way)
        if way is None or way.codec != "copy":
            warnings.append(_warning(film, stream, muxer, way))
    return carried, warnings


def _way_in(film: Film, muxer: str, stream: Stream) -> Carried | None:
    codecs = ["copy", _TEXT_CODEC[muxer]] if stream.kind == "subtitle" else ["copy"]
    for codec in codecs:
        if _fits(film, muxer, [Carried(stream, codec)]):
            return Carried(stream, codec)
    return None


def _warning(film: Film, stream: Stream, muxer: str, way: Carried | None) -> str:
    name = f"{stream.kind} stream {stream.index}"
    if stream.codec:
        name += f" ({stream.codec})"
    suffix = next(suffix for suffix, known in MUXERS.items() if known == muxer)
    happened = f"left out: {suffix} cannot hold it" if way is None else f"turned into {way.codec}"
    for other, known in (
        (".mkv", "matroska"),
        (film.path.suffix.lower(), MUXERS.get(film.path.suffix.lower())),
    ):
        if known and known != muxer and _fits(film, known, [Carried(stream, "copy")]):
            return f"{name} was {happened}; {other} holds it as it is"
    return f"{name} was {happened}"


def _fits(film: Film, muxer: str, streams: Sequence[Carried]) -> bool:
    """Whether ffmpeg can write the header of a film with these streams."""
    source = graph.source(film)
    with tempfile.TemporaryDirectory() as folder:
        trial = ffmpeg.output(
            *(source[str(carried.stream.index)] for carried in streams),
            file_url(Path(folder) / "trial"),
            f=muxer,
            t=0,
            strict="experimental",
            **codec_options(streams),
        )
        try:
            with run(trial, "try the container") as process:
                process.finish()
        except MediaError:
            return False
    return True


def codec_options(streams: Sequence[Carried], first: int = 0) -> dict[str, str]:
    """ffmpeg's codec option for each of the streams, the first of which is number `first`."""
    return {f"c:{first + number}": carried.codec for number, carried in enumerate(streams)}
