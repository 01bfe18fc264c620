"""Whether a source is black-and-white, toned or in color.

Noise in chroma is averaged away; a picture whose chroma follows from its luma, as that of sepia
prints and tinted films does, is toned and not in color.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidcolor.media.limits import open_film
from vidcolor.media.pixels import pixel_format
from vidcolor.media.probe import Film

SAMPLES = 8
"""Frames of a film that are measured."""

SIDE = 24
"""Pixels of the longer side to which a picture is reduced, so that noise averages out."""

TONED_FROM = 2.0
"""Mean distance from neutral, in 8-bit code values of chroma, from which a picture is toned."""

COLOR_FROM = 2.5
"""Mean distance, in the same unit, from the chroma that is usual for the same luma."""

COLOR_SHARE = 0.25
"""Share of the measured frames in color from which a film is; titles and leaders may be tinted."""

IN_COLOR = "the source is in color already; its colors were replaced, and only its luma was used"

_LEVELS = 16
_EMPTY = np.zeros(2)


@dataclass(frozen=True)
class SourceColor:
    """How much color a source has, in 8-bit code values of chroma."""

    kind: Literal["gray", "toned", "color"]
    chroma: float
    """Mean distance from neutral: near 0 for black-and-white."""
    spread: float
    """Mean distance from the chroma that is usual for the same luma: near 0 for one tone."""


def film_color(film: Film, samples: int = SAMPLES) -> SourceColor:
    """Measure keyframes from all parts of a film. What cannot be decoded is left out."""
    if pixel_format(film.pixel_format).gray:
        return SourceColor("gray", 0.0, 0.0)
    found = []
    # Coloring itself says what is wrong with a damaged film.
    for seeking in (True, False):
        with suppress(av.error.FFmpegError, OSError), open_film(film.path) as container:
            for frame in _keyframes(film, container, samples, seeking=seeking):
                found.append(_measure(_reduced(frame)))
        if found:
            break
    return _judge(found)


def picture_color(rgb: NDArray) -> SourceColor:
    """Measure a still: (H, W, 3) uint8 or uint16 RGB."""
    peak = np.iinfo(rgb.dtype).max
    step = max(1, max(rgb.shape[:2]) // SIDE)
    height, width = (max(1, side // step) for side in rgb.shape[:2])
    blocks = rgb[: height * step, : width * step].reshape(height, step, width, step, 3)
    return _judge([_measure(blocks.mean((1, 3)) * (255 / peak))])


def _keyframes(
    film: Film, container: InputContainer, samples: int, *, seeking: bool
) -> Iterator[VideoFrame]:
    """One from each of so many equal parts of the film; the first ones without seeking."""
    stream = container.streams[film.video_index]
    if not isinstance(stream, VideoStream):
        return
    stream.codec_context.skip_frame = "NONKEY"
    begin, length = film.start or 0.0, film.duration or 0.0
    for number in range(samples):
        time = begin + length * (number + 0.5) / samples
        try:
            if seeking:
                container.seek(round(time * 1_000_000))
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError:
            continue
        if isinstance(frame, VideoFrame):
            yield frame


def _reduced(frame: VideoFrame) -> NDArray:
    """A frame as a small picture of 8-bit RGB."""
    scale = min(1.0, SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, "rgb24", interpolation="AREA")
    return small.to_ndarray().astype(np.float64)


def _measure(rgb: NDArray) -> tuple[float, float]:
    """(h, w, 3) RGB in 0 to 255 -> how far its chroma is from neutral, and from its tone."""
    luma = rgb @ (0.299, 0.587, 0.114)
    chroma = np.stack(((rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402), -1)
    level = np.clip(luma * (_LEVELS / 256), 0, _LEVELS - 1).astype(int)
    tone = np.array(
        [chroma[level == n].mean(0) if (level == n).any() else _EMPTY for n in range(_LEVELS)]
    )
    return _mean_length(chroma), _mean_length(chroma - tone[level])


def _mean_length(vectors: NDArray) -> float:
    return float(np.hypot(vectors[..., 0], vectors[..., 1]).mean())


def _judge(found: list[tuple[float, float]]) -> SourceColor:
    if not found:
        return SourceColor("gray", 0.0, 0.0)
    chroma, spread = np.array(found).T
    if (spread >= COLOR_FROM).mean() >= COLOR_SHARE:
        kind = "color"
    else:
        kind = "toned" if (chroma >= TONED_FROM).mean() >= COLOR_SHARE else "gray"
    return SourceColor(kind, float(chroma.mean()), float(spread.mean()))
