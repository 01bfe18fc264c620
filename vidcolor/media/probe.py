"""A film's picture, streams and metadata, read with PyAV."""

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
from vidcolor.media.limits import open_film
from vidcolor.media.other_kinds import not_a_film
from vidcolor.media.pixels import pixel_format

PACKETS_TO_TRY = 500
"""So many video packets may fail to decode before a film counts as unreadable."""

_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "bt709", 9: "bt2020", 10: "bt2020"}
_OTHER_MATRICES = {
    **{8: "YCgCo", 11: "SMPTE ST 2085", 12: "a matrix derived from its primaries"},
    **{13: "a matrix derived from its primaries", 14: "ICtCp", 15: "IPT-C2"},
    **{16: "YCgCo-Re", 17: "YCgCo-Ro"},
}
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
    regenerated: bool
    """A track of chapters or of a timecode, which the muxer writes from metadata."""
    title: str | None
    disposition: tuple[str, ...]
    """ffmpeg's names of its purposes: "default", "comment", "forced" ..."""
    start: float | None
    """First timestamp, in seconds; None where the container does not say."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film's picture stream and the streams beside it. Sizes are upright: after rotation."""

    path: Path
    container: str
    """ffmpeg's name of the demuxer, for example "mov" or "matroska"."""
    width: int
    height: int
    rotation: int
    """Degrees, counterclockwise, by which players turn the stored picture."""
    sample_aspect: Fraction
    """Width of a sample over its height."""
    frame_rate: Fraction | None
    """On average."""
    nominal_rate: Fraction | None
    """What ffmpeg takes for its frame rate, from the container or the codec."""
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
    other_matrix: str | None
    """Name of a matrix that is tagged but not handled, such as "YCgCo"; its luma is used as is."""
    light: tuple[str, ...]
    """Metadata about the display it was graded for: "mastering display" and the like."""
    alpha: bool
    """Whether the first frame is transparent somewhere."""
    captions: bool
    """Whether the first frame carries closed captions (CEA-608 or 708) inside the picture."""
    timecode: str | None
    """Of its first frame, as written by a tape recorder or a camera."""
    comment: str | None
    """The container's comment."""
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
        with open_film(path) as container:
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
    other_matrix = None
    if pixels.rgb or pixels.gray or color_space not in _MATRICES:
        other_matrix = None if pixels.rgb or pixels.gray else _OTHER_MATRICES.get(color_space or 2)
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
        nominal_rate=video.guessed_rate or None,
        time_base=time_base,
        start=_start(video),
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
        other_matrix=other_matrix,
        light=tuple(name for kind, name in _LIGHT.items() if kind in marks),
        alpha="alpha_mode" in video.metadata or _is_transparent(frame),
        captions=Type.A53_CC in marks,
        timecode=_label(container, "timecode", *container.streams),
        comment=_label(container, "comment"),
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
        regenerated=stream.type == "data"
        and (stream.discard == Discard.all or "timecode" in stream.metadata),
        title=stream.metadata.get("title"),
        start=_start(stream),
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


def _start(stream: AvStream) -> float | None:
    if stream.start_time is None or stream.time_base is None:
        return None
    return float(stream.start_time * stream.time_base)


def _duration(container: InputContainer, video: VideoStream) -> float | None:
    """Seconds of the picture, which may start later than the container."""
    # Matroska's is the time of the end, which ffmpeg takes for the length of each stream as well.
    matroska = "matroska" in container.format.name
    if video.duration and video.time_base and not matroska:
        return float(video.duration * video.time_base)
    if not container.duration:
        return None
    duration = container.duration / 1_000_000
    begin = 0.0 if matroska else (container.start_time or 0) / 1_000_000
    shorter = begin + duration - (_start(video) or 0.0)
    return shorter if 0 < shorter < duration else duration


def _marks(frame: VideoFrame) -> set[Type]:
    """The kinds of side data that a frame carries."""
    marks = cast(Iterable[SideData], frame.side_data)  # PyAV declares it as something else
    return {mark.type for mark in marks}


def _is_transparent(frame: VideoFrame) -> bool:
    if not pixel_format(frame.format.name).alpha:
        return False
    return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)


def _label(container: InputContainer, wanted: str, *streams: AvStream) -> str | None:
    """From the container or one of its streams; Matroska spells the names in capitals."""
    for metadata in (container.metadata, *(stream.metadata for stream in streams)):
        for name, value in metadata.items():
            if name.lower() == wanted:
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
    graph = av.filter.Graph()
    entry = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base
    )
    result = graph.add("buffersink")
    graph.link_nodes(entry, graph.add("select", "eq(interlace_type,TOPFIRST)"), result).configure()
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
