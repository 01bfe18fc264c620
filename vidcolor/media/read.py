"""A film's luma, small, frame by frame."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from queue import SimpleQueue
from typing import IO, Any, NamedTuple

import ffmpeg
import numpy as np

from vidcolor.errors import MediaError
from vidcolor.media import graph
from vidcolor.media.damage import Damage
from vidcolor.media.pixels import planar_name
from vidcolor.media.probe import Film
from vidcolor.media.process import Process, run
from vidcolor.media.stack import Stack

LARGEST_STEP_BACK = 0.1
"""Seconds; ffmpeg too takes a larger step back for a break in time."""


_REPAIR = "repair it first: ffmpeg -i FILM -c copy repaired.mkv"
_FRAME = re.compile(rb"frame:\d+ +pts:(-?\d+|NOPTS)\s")
_SCORE = re.compile(rb"lavfi\.scd\.score=([\d.]+)\n")


CUT_SCORE = 10.0
"""ffmpeg's own threshold for a scene cut."""


class LumaFrame(NamedTuple):
    """One frame of luma at the generator's input size."""

    pts: int
    """Timestamp in units of the film's time base."""
    pixels: np.ndarray
    """(h, w) uint8; 0 is black and 255 white, whatever the film's own range."""
    cut_score: float
    """How much the picture changed against the frame before, 0 to 100; CUT_SCORE or more is a
    scene cut."""
    guide: np.ndarray | None = None
    """The same luma at the guide's size, if one was asked for."""
    full: np.ndarray | None = None
    """The film's own luma for the encoder, if it was asked for: (H, W) code values in the film's
    range, uint8, or uint16 where it is deeper than 8 bits."""


class LumaFrames(Iterator[LumaFrame]):
    """The frames of a film, as they are decoded."""

    def __init__(self, frames: Iterator[LumaFrame], process: Process) -> None:
        self._frames = frames
        self._process = process

    def __next__(self) -> LumaFrame:
        return next(self._frames)

    def stop(self) -> None:
        """End the decoder at once, from any thread, even one that hangs.

        A thread that waits for the next frame then gets an error, or the end.
        """
        self._process.kill()


class _Stamp(NamedTuple):
    pts: int | None
    cut_score: float


_Stamps = SimpleQueue[_Stamp | Exception | None]
"""One for each frame; None after the last, or the error that ended the reading of them."""


@contextmanager
def read_luma(
    film: Film,
    size: tuple[int, int],
    *,
    start: float | None = None,
    end: float | None = None,
    seek: bool = True,
    guide: tuple[int, int] | None = None,
    full: int | None = None,
    warn: Callable[[str], object] = lambda warning: None,
) -> Iterator[LumaFrames]:
    """Decode `film` and yield its luma at `size` (width, height).

    guide: another size to yield it at as well: that of the chroma planes (`merge.chroma_size`).
    full: yield it at the film's own size as well, in so many bits, for `write.write_piece`.
    start, end: read only the frames with start <= time < end, in seconds from the film's start.
    seek: False to decode all frames before `start` as well, which some films need.
    warn: called after the last frame, with one line each for where the film is damaged and
    whether it was cut short.
    The iterator may be left early. It raises MediaError when no frame can be decoded, and where
    the timestamps jump back, as in a broadcast that was pasted together.
    """
    receive, send = os.pipe()
    stamps: _Stamps = SimpleQueue()
    damage = Damage(film, start)
    with os.fdopen(receive, "rb") as metadata, os.fdopen(send, "wb") as sender:
        own = [(film.width, film.height)] if full else []
        stack = Stack((size, *([guide] if guide else []), *own), full or 8)
        video = graph.source(film, start=start if seek else None)[str(film.video_index)]
        luma, original = _luma(film, video, full, partial(graph.luma, film, start=start, end=end))
        command = _command(film, stack, guide, luma, original, send)
        pipes = {"stdout": subprocess.PIPE, "pass_fds": (send,)}
        with run(command, f"read {film.path}", damage.on_message, **pipes) as process:
            sender.close()  # so that the pipe ends when ffmpeg does
            process.widen_pipes(stack.picture_bytes)
            drain = threading.Thread(
                target=_read_stamps, args=(metadata, stamps, damage), daemon=True
            )
            drain.start()
            try:
                frames = _frames(film, process, stack, guide, full, stamps)
                yield LumaFrames(_then_warn(frames, damage, warn, to_end=end is None), process)
            finally:
                process.stop()
                drain.join()


def _command(
    film: Film,
    stack: Stack,
    guide: tuple[int, int] | None,
    luma: Any,
    original: list[Any],
    metadata: int,
) -> Any:
    """luma: what the small pictures are made of. original: that for the encoder, if any."""
    branches = luma.split() if guide else [luma]
    pictures = [
        _scaled(branches[0], stack.sizes[0])
        .filter("scdet", t=10)
        .filter("metadata", mode="print", direct=1, file=f"pipe:{metadata}"),
        *([_scaled(branches[1], guide)] if guide else []),
        *original,
    ]
    return ffmpeg.output(
        stack.filtered(pictures),
        "pipe:1",
        f="rawvideo",
        pix_fmt=planar_name(None, stack.depth),
        fps_mode="passthrough",
        enc_time_base=graph.time_base(film),
    )


def _luma(
    film: Film, video: Any, full: int | None, luma: Callable[..., Any]
) -> tuple[Any, list[Any]]:
    """Luma at the film's size: what the small pictures are made of, and that for the encoder."""
    if full is None:
        return luma(video), []
    if full == film.bit_depth:
        both = luma(video).split()
        return both[0], [both[1]]
    both = video.split()
    return luma(both[0]), [luma(both[1], depth=full)]


def _scaled(luma: Any, size: tuple[int, int]) -> Any:
    scaled = luma.filter("scale", *size, flags="area", in_range="full", out_range="full")
    return scaled.filter("format", "gray")


def _frames(
    film: Film,
    process: Process,
    stack: Stack,
    guide: tuple[int, int] | None,
    full: int | None,
    stamps: _Stamps,
) -> Iterator[LumaFrame]:
    import cv2  # here, since the command line imports this module and may only print its help

    latest = None
    while True:
        whole = stack.read(process.stdout)
        if whole is None:
            break
        stamp = stamps.get()
        if stamp is None:
            raise process.failure()
        if isinstance(stamp, Exception):
            raise stamp
        if stamp.pts is None:
            raise MediaError(f"a frame of {film.path} has no timestamp; {_REPAIR}")
        if latest is not None and (latest - stamp.pts) * film.time_base > LARGEST_STEP_BACK:
            raise _jump_back(film, latest, stamp.pts)
        latest = stamp.pts
        original = whole.pop() if full else None
        pictures = [stack.eight_bits(picture) for picture in whole]
        if not film.full_range:
            pictures = [cv2.LUT(picture, _full_range()) for picture in pictures]
        small, large = pictures[0], pictures[1] if guide else None
        yield LumaFrame(stamp.pts, small, stamp.cut_score, large, original)
    process.finish()
    if latest is None:
        length = (
            f"it lasts {film.duration:.1f} s; change --start or --end" if film.duration else _REPAIR
        )
        raise MediaError(
            f"no frame of {film.path} can be decoded between --start and --end; {length}"
        )


def _then_warn(
    frames: Iterator[LumaFrame], damage: Damage, warn: Callable[[str], object], *, to_end: bool
) -> Iterator[LumaFrame]:
    yield from frames
    for warning in damage.warnings(to_end=to_end):
        warn(warning)


def _jump_back(film: Film, latest: int, pts: int) -> MediaError:
    """The error for a film that no container can hold; its sound would be lost from there on."""
    at, by = float(latest * film.time_base), float((latest - pts) * film.time_base)
    return MediaError(
        f"the timestamps of {film.path} jump back by {by:.1f} s at {at:.1f} s; {_REPAIR}"
    )


@lru_cache
def _full_range() -> np.ndarray:
    """(256,) uint8: limited code values 16..235 spread over 0..255."""
    spread = (np.arange(256) - 16) * (255 / 219)
    return spread.round().clip(0, 255).astype(np.uint8)


def _read_stamps(metadata: IO[bytes], stamps: _Stamps, damage: Damage) -> None:
    """Turn what the metadata filter prints into one stamp for each frame, then None or an error.

    frame:7    pts:3584    pts_time:0.28
    lavfi.scd.mafd=0.431
    lavfi.scd.score=0.027
    """
    pts, end = None, None
    try:
        for line in metadata:
            if frame := _FRAME.match(line):
                pts = None if frame[1] == b"NOPTS" else int(frame[1])
            elif score := _SCORE.match(line):
                damage.on_frame(pts)
                stamps.put(_Stamp(pts, float(score[1])))
    except Exception as error:  # raised by whoever reads the frames
        end = error
    stamps.put(end)
