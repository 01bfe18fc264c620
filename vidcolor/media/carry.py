"""Which of the source's other streams the target container can hold, and in which form.

The muxer decides: ffmpeg writes the header of a film and a little sound: what
fits differs between versions of ffmpeg.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.containers import MUXERS
from vidcolor.media.limits import open_film
from vidcolor.media.probe import Film, Stream
from vidcolor.media.process import Interrupted, file_url, run

_TEXT = {"mp4": "mov_text", "mov": "mov_text", "matroska": "srt", "webm": "webvtt"}
"""What text subtitles become in a container that cannot hold them as they are."""

_SOUND = {
    "mp4": ("alac",),
    "mov": ("alac",),
    "matroska": ("flac",),
    "webm": ("libopus", "libvorbis"),  # some layouts of channels are known to Vorbis alone
}
"""What sound becomes there; the same samples again, except in webm."""

_COVER = {"mp4": "copy", "matroska": "attach"}
"""How a cover is written; in the other containers it becomes a second film or is lost."""

_COVER_FILES = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}
"""By codec, what Matroska calls a cover that is attached."""


@dataclass(frozen=True)
class Carried:
    """A stream of the source that goes into the colored film."""

    stream: Stream
    codec: str
    """"copy", the encoder it has to go through, or "attach" for the cover that becomes a file."""


def carried_streams(film: Film, muxer: str) -> tuple[list[Carried], list[str]]:
    """The streams beside the picture that a container can hold, and a warning for all others.

    In the order in which the streams of the result will be read, covers at the end.
    """
    others = [s for s in film.streams if s.index != film.video_index and not s.regenerated]
    covers = [stream for stream in others if stream.attached_picture]
    tracks = [stream for stream in others if not stream.attached_picture]
    copied = [Carried(stream, "copy") for stream in tracks]
    if not copied or _fits(film, muxer, copied):
        ways: list[Carried | None] = [*copied]
    else:
        ways = [_way_in(film, muxer, stream) for stream in tracks]
    for stream in covers:
        way = _way_in(film, muxer, stream)
        taken = way is not None and any(each and each.codec == "attach" for each in ways)
        ways.append(None if taken else way)  # ffmpeg attaches one
    warnings = [
        _warning(film, stream, muxer, way)
        for stream, way in zip([*tracks, *covers], ways, strict=True)
        if way is None or way.codec not in ("copy", "attach")
    ]
    return [way for way in ways if way is not None], warnings


def readable_streams(
    film: Film, muxer: str, carried: Sequence[Carried]
) -> tuple[list[Carried], list[str]]:
    """Those of `carried` that can be read to the end of a damaged film, and warnings on the others.

    Sound with damaged packets often cannot be copied; its decoder goes on after them.
    """
    readable, warnings = [], []
    for each in carried:
        if each.codec == "attach" or _writes(film, muxer, [each]):
            readable.append(each)
            continue
        codecs = _SOUND[muxer] if each.stream.kind == "audio" else ()
        ways = (Carried(each.stream, codec) for codec in codecs)
        way = next((way for way in ways if _writes(film, muxer, [way])), None)
        happened = f"turned into {way.codec}, with gaps" if way else "left out"
        warnings.append(
            f"{each.stream.kind} stream {each.stream.index} ({each.stream.codec}) is damaged and "
            f"was {happened}"
        )
        if way:
            readable.append(way)
    return readable, warnings


def _way_in(film: Film, muxer: str, stream: Stream) -> Carried | None:
    """The first way in which a container can hold a stream; None if there is none."""
    codecs: tuple[str, ...] = ("copy",)
    if stream.attached_picture:
        codecs = (_COVER[muxer],) if muxer in _COVER else ()
    elif stream.kind == "subtitle":
        codecs = ("copy", _TEXT[muxer])
    elif stream.kind == "audio":
        codecs = ("copy", *_SOUND[muxer])
    for codec in codecs:
        if codec == "attach":
            return Carried(stream, codec) if stream.codec in _COVER_FILES else None
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
        if known and known != muxer and _holds(film, known, stream):
            return f"{name} was {happened}; {other} holds it as it is"
    return f"{name} was {happened}"


def _holds(film: Film, muxer: str, stream: Stream) -> bool:
    way = _way_in(film, muxer, stream)
    return way is not None and way.codec in ("copy", "attach")


def _fits(film: Film, muxer: str, streams: Sequence[Carried]) -> bool:
    """Whether ffmpeg can write a film with these streams, as far as its beginning tells."""
    sound = [carried for carried in streams if carried.stream.kind == "audio"]
    if len(sound) < len(streams) and not _writes(film, muxer, streams, t=0):
        return False
    # Some muxers find out only from a packet that it is of the wrong kind.
    return not sound or _writes(film, muxer, sound, t=10, **{"frames:a": 8})


def _writes(film: Film, muxer: str, streams: Sequence[Carried], **amount: Any) -> bool:
    """Whether ffmpeg writes these streams without an error.

    Raises Interrupted where ffmpeg was killed, which says nothing about the container.
    """
    source = graph.source(film)
    trial = ffmpeg.output(
        *(source[str(carried.stream.index)] for carried in streams),
        file_url(Path(os.devnull)),  # a full disk must not be taken for a refusal
        f=muxer,
        strict="experimental",
        **amount,
        **codec_options(streams),
    )
    try:
        with run(trial, "try the container") as process:
            process.finish()
    except Interrupted:
        raise
    except MediaError:
        return False
    return True


def codec_options(streams: Sequence[Carried], first: int = 0) -> dict[str, str]:
    """ffmpeg's codec options for the streams, the first of which is number `first`."""
    options = {}
    for number, carried in enumerate(streams, first):
        options[f"c:{number}"] = carried.codec
        if carried.stream.kind == "audio" and carried.codec != "copy":
            # Where sound is missing, what comes after must not move up.
            options[f"filter:{number}"] = "aresample=async=1"
    return options


def attach_options(film: Film, cover: Stream, folder: Path, number: int) -> dict[str, Any]:
    """ffmpeg's options that attach a cover as stream `number`.

    folder: where it is written for ffmpeg to read.
    """
    suffix, kind = _COVER_FILES[cover.codec or ""]
    path = folder / f"cover.{suffix}"
    path.write_bytes(_first_packet(film, cover))
    return {
        "attach": file_url(path),
        f"metadata:s:{number}": f"filename={path.name}",
        f"metadata:s:0x{number:x}": f"mimetype={kind}",  # the same stream, as another option
    }


def _first_packet(film: Film, stream: Stream) -> bytes:
    with open_film(film.path) as container:
        return bytes(next(container.demux(container.streams[stream.index])))
