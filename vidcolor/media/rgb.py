"""A film as RGB pictures, for measurements and previews; coloring itself never needs them."""

from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import NamedTuple

import av
import av.error
import av.filter
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import MediaError
from vidcolor.media.limits import open_film
from vidcolor.media.pixels import pixel_format
from vidcolor.media.probe import Film


class RgbFrame(NamedTuple):
    """One picture of a film, upright."""

    time: float
    """Seconds from the film's first frame."""
    rgb: np.ndarray
    """(h, w, 3) uint8."""


def read_rgb(film: Film, size: tuple[int, int]) -> Generator[RgbFrame, None, None]:
    """Decode `film`, one frame at a time, at `size` (width, height, upright).

    Colors are converted by the film's own matrix and range, chroma is interpolated, and what
    is made smaller is averaged. Raises MediaError where the film cannot be decoded.
    """
    try:
        with open_film(film.path) as container:
            stream = container.streams[film.video_index]
            if isinstance(stream, VideoStream):
                stream.thread_type = "AUTO"
            yield from _pictures(film, container.decode(stream), size)
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{film.path} cannot be decoded to its end ({reason}); copy or download it again"
        ) from error


def _pictures(film: Film, frames: Iterator, size: tuple[int, int]) -> Iterator[RgbFrame]:
    begin, shape, graph = None, None, None
    for frame in frames:
        if not isinstance(frame, VideoFrame) or frame.time is None:
            continue
        begin = frame.time if begin is None else begin
        if graph is None or shape != (frame.width, frame.height, frame.format.name):
            shape = (frame.width, frame.height, frame.format.name)
            graph = _scaler(film, frame, size)
        graph.push(frame)
        rgb = graph.pull().to_ndarray()
        yield RgbFrame(frame.time - begin, np.rot90(rgb, film.rotation // 90))


def _scaler(film: Film, frame: VideoFrame, size: tuple[int, int]) -> av.filter.Graph:
    """What turns frames like this one into rgb24 pictures of `size`, not yet upright."""
    width, height = size[::-1] if film.rotation % 180 == 90 else size
    smaller = width < frame.width or height < frame.height
    words = [f"w={width}:h={height}", "flags=accurate_rnd+full_chroma_int+full_chroma_inp"]
    words[1] += "+area" if smaller else "+bicubic"
    if not pixel_format(frame.format.name).rgb:
        words += [f"in_color_matrix={film.matrix}", f"in_range={'pc' if film.full_range else 'tv'}"]
    graph = av.filter.Graph()
    steps = [
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=film.time_base,
        ),
        graph.add("scale", ":".join(words)),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ]
    for first, second in pairwise(steps):
        first.link_to(second)
    graph.configure()
    return graph
