"""What a film is made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
import av.error
import av.filter
from av.container import InputContainer
from av.sidedata.sidedata import SideData, Type
from av.stream import Discard, Disposition
from av.stream import Stream as AvStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import MediaError
from vidcolor.media.limits import looking
from vidcolor.media.other_kinds import not_a_film
from vidcolor.media.pixels import pixel_format

PACKETS_TO_TRY = 500
"""So many video packets may fail to decode before a film counts as unreadable."""

_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "bt709", 9: "bt2020", 10: "bt2020"}
_UNKNOWN_TAGS = (0, 2, 3)
_DISPOSITIONS = [flag for flag in Disposition if flag.name not in ("non_diegetic", "multilayer")]
"""All that the oldest ffmpeg knows too."""

_LIGHT = {
    Type.MASTERING_DISPLAY_METADATA: "mastering display",
    Type.CONTENT_LIGHT_LEVEL: "content light level",
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
    Type.DOVI_METADATA: "Dolby Vision",
}


@dataclass(frozen=True)
class Stream:
    """One stream of a film's container."""

    index: int
    kind: str
    """"video", "audio", "subtitle", "data" or "attachment"."""
    codec: str | None
    language: str | None
    attached_picture: bool
    """A cover, not a film."""
    made_anew: bool
    """A track of chapters or of a timecode, which a muxer makes from what it is told."""
    title: str | None
    disposition: tuple[str, ...]
    """What it is meant for, in ffmpeg's words: "default", "comment", "forced" ..."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film's picture stream and what comes with it. Sizes are upright: after rotation."""

    path: Path
    container: str
    """ffmpeg's name of the demuxer, for example "mov" or "matroska"."""
    width: int
    height: int
    rotation: int
    """Degrees, counterclockwise, that players turn the stored picture by."""
    sample_aspect: Fraction
    """Width of a sample over its height."""
    frame_rate: Fraction | None
    time_base: Fraction
    """Unit of the frames' timestamps, in seconds."""
    start: float | None
    """First timestamp of the picture, in seconds."""
    duration: float | None
    """Seconds."""
    frame_count: int | None
    """An estimate, for progress only."""
    codec: str
    pixel_format: str
    bit_depth: int
    full_range: bool
    """Whether luma uses all code values; RGB counts as limited, which it is converted to."""
    matrix: str
    """"bt601", "bt709" or "bt2020": as tagged or, untagged, what players assume."""
    color_space: int | None
    """Matrix, primaries and transfer as tagged: code points of ITU-T H.273, None when unknown."""
    color_primaries: int | None
    color_transfer: int | None
    light: tuple[str, ...]
    """What it says about the display it was graded for: "mastering display" and the like."""
    alpha: bool
    """Whether the first frame is transparent somewhere."""
    captions: bool
    """Whether the first frame carries closed captions (CEA-608 or 708) inside the picture."""
    timecode: str | None
    """Of its first frame, as a tape or a camera counted."""
    field_order: str | None
    """"tff" or "bff" where a frame, as it is read, holds two fields, top or bottom first."""
    video_index: int
    streams: tuple[Stream, ...]
    deinterlace: bool
    """Whether the fields of interlaced frames are to be read as one picture."""


def probe(path: Path, *, deinterlace: bool = False) -> Film:
    """Look at a film and decode its first frame.

    deinterlace: have the fields of interlaced frames read as one picture.
    Raises MediaError when there is no film that can be read, saying what is there instead.
    """
    _check_file(path)
    try:
        with path.open("rb") as file, av.open(file, "r", options=looking()) as container:
            return _describe(path, container, deinterlace)
    except av.error.ArgumentError as error:  # the content is of a kind that is not on the list
        raise MediaError(f"{path} {not_a_film(path)}") from error
    except PermissionError as error:
        raise MediaError(f"{path} may not be read; check its permissions") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{path} is not a film that ffmpeg can read ({reason}); "
            "if it was cut short, copy or download it again"
        ) from error


def _check_file(path: Path) -> None:
    if not path.exists():
        raise MediaError(f"{path} does not exist; check the name")
    if path.is_dir():
        raise MediaError(f"{path} is a folder, not a film; name the film inside it")
    if not path.is_file():
        raise MediaError(f"{path} is a pipe or a device, and a film is read twice; save it first")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty; copy or download it again")


def _describe(path: Path, container: InputContainer, deinterlace: bool) -> Film:
    streams = tuple(_stream(stream) for stream in container.streams)
    video = _picture(path, container, streams)
    frame = _first_frame(path, container, video)
    pixels, marks = pixel_format(frame.format.name), _marks(frame)
    tag = video.codec_context
    rotation = int(frame.rotation)
    sideways = rotation % 180 == 90
    width, height = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    aspect = video.sample_aspect_ratio or Fraction(1)
    color_space = _known(frame.colorspace, tag.colorspace)
    if pixels.rgb or color_space not in _MATRICES:
        color_space = None
    time_base = video.time_base
    if time_base is None:
        raise MediaError(f"{path} has no time base; remux it with ffmpeg first")
    frame_rate = video.average_rate or video.guessed_rate or None
    duration = _duration(container, video)
    return Film(
        path=path,
        container=container.format.name.split(",")[0],
        width=width,
        height=height,
        rotation=rotation,
        sample_aspect=1 / aspect if sideways else aspect,
        frame_rate=frame_rate,
        time_base=time_base,
        start=None if video.start_time is None else float(video.start_time * time_base),
        duration=duration,
        frame_count=video.frames
        or (round(duration * frame_rate) if duration and frame_rate else None),
        codec=tag.name,
        pixel_format=frame.format.name,
        bit_depth=pixels.depth,
        full_range=_full_range(frame, video),
        matrix=_MATRICES.get(color_space or 2) or ("bt709" if height >= 720 else "bt601"),
        color_space=color_space,
        color_primaries=_known(frame.color_primaries, tag.color_primaries),
        color_transfer=_known(frame.color_trc, tag.color_trc),
        light=tuple(name for kind, name in _LIGHT.items() if kind in marks),
        alpha="alpha_mode" in video.metadata or _is_transparent(frame),
        captions=Type.A53_CC in marks,
        timecode=_timecode(container),
        field_order=None if deinterlace else _field_order(frame, time_base),
        video_index=video.index,
        streams=streams,
        deinterlace=deinterlace,
    )


def _stream(stream: AvStream) -> Stream:
    codec = stream.codec_context
    return Stream(
        index=stream.index,
        kind=stream.type,
        codec=codec.name if codec else None,
        language=stream.language,
        attached_picture=bool(stream.disposition & Disposition.attached_pic),
        made_anew=stream.type == "data"
        and (stream.discard == Discard.all or "timecode" in stream.metadata),
        title=stream.metadata.get("title"),
        disposition=tuple(
            flag.name for flag in _DISPOSITIONS if flag.name and stream.disposition & flag
        ),
    )


def _picture(path: Path, container: InputContainer, streams: tuple[Stream, ...]) -> VideoStream:
    """The first video stream that is not a cover."""
    kinds = {stream.kind for stream in streams if not stream.attached_picture}
    for stream in container.streams.video:
        if not streams[stream.index].attached_picture and stream.codec_context is not None:
            return stream
    if "video" in kinds:
        raise MediaError(f"{path} is in a video format that cannot be decoded; convert it first")
    if container.streams.video:
        raise MediaError(f"{path} has only a cover picture, no film; nothing to color")
    if "audio" in kinds:
        raise MediaError(f"{path} has only sound, no picture; nothing to color")
    raise MediaError(f"{path} has no video stream; nothing to color")


def _first_frame(path: Path, container: InputContainer, video: VideoStream) -> VideoFrame:
    """The first frame that can be decoded; damaged packets before it are passed over."""
    for packet in islice(container.demux(video), PACKETS_TO_TRY):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame):
                return frame
    raise MediaError(f"no frame of {path} can be decoded; it is damaged, copy or download it again")


def _duration(container: InputContainer, video: VideoStream) -> float | None:
    if video.duration and video.time_base:
        return float(video.duration * video.time_base)
    return container.duration / 1_000_000 if container.duration else None


def _marks(frame: VideoFrame) -> set[Type]:
    """The kinds of what a frame carries beside its picture."""
    marks = cast(Iterable[SideData], frame.side_data)  # PyAV declares it as something else
    return {mark.type for mark in marks}


def _is_transparent(frame: VideoFrame) -> bool:
    if not pixel_format(frame.format.name).alpha:
        return False
    return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)


def _timecode(container: InputContainer) -> str | None:
    """From the container or one of its streams; Matroska spells it in capitals."""
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
        for name, value in metadata.items():
            if name.lower() == "timecode":
                return value
    return None


def _full_range(frame: VideoFrame, video: VideoStream) -> bool:
    pixels = pixel_format(frame.format.name)
    if pixels.rgb:
        return False
    if frame.format.name.startswith("yuvj"):
        return True
    value = int(frame.color_range) or int(video.codec_context.color_range)
    # Untagged gray is full range by ffmpeg's convention, untagged YUV limited.
    return value == 2 or (value == 0 and pixels.gray)


def _field_order(frame: VideoFrame, time_base: Fraction) -> str | None:
    """Asked of the frame itself: the stream's parameters are often wrong about H.264."""
    if not frame.interlaced_frame:
        return None
    sieve = av.filter.Graph()
    entry = sieve.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base
    )
    result = sieve.add("buffersink")
    sieve.link_nodes(entry, sieve.add("select", "eq(interlace_type,TOPFIRST)"), result).configure()
    entry.push(frame)
    try:
        result.pull()
    except av.error.BlockingIOError:
        return "bff"
    return "tff"


def _known(*tags: int | None) -> int | None:
    for tag in tags:
        if tag is not None and tag not in _UNKNOWN_TAGS:
            return int(tag)
    return None
