"""One film, path to path: probe, decode, colour, encode, join, publish."""

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vidcolor import color
from vidcolor.ahead import ahead
from vidcolor.colorizer import Colorizer
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.join import join
from vidcolor.media.probe import Film, probe
from vidcolor.media.publish import work_folder
from vidcolor.media.read import LumaFrame, read_luma
from vidcolor.media.target import check_target
from vidcolor.media.write import Piece, write_piece


class ChromaFrame(NamedTuple):
    """One coloured frame on its way to the encoder."""

    pts: int
    """Timestamp in units of the film's time base."""
    chroma: np.ndarray
    """(2, h, w) uint8 code values of Cb and Cr."""


@dataclass(frozen=True)
class Report:
    """What became of a film."""

    target: Path
    frames: int
    seconds: float
    """Wall time of the whole way."""
    warnings: tuple[str, ...]


def colorize_film(
    source: Path,
    target: Path,
    colorizer: Colorizer,
    encode: EncodeSettings | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    on_frame: Callable[[int, int | None], None] = lambda done, total: None,
) -> Report:
    """Colour a film and publish it under `target`, which is replaced if it exists.

    start, end: seconds from the film's beginning; only this stretch is coloured and kept.
    on_frame(done, total) is called after every frame; total is an estimate, or None.
    The film appears under its name only when it is complete; whatever goes wrong, nothing is left
    of it. Raises MediaError (with the remedy) and DeviceError.
    """
    started = time.monotonic()
    encode = encode or EncodeSettings()
    film = probe(source, deinterlace=encode.deinterlace)
    encode = check_target(film, target, encode)
    total = expected_frames(film, start, end)

    warnings: list[str] = []
    with work_folder(target.parent) as folder:
        piece = color_piece(
            film,
            folder / "piece",
            colorizer,
            encode,
            start=start,
            end=end,
            on_frame=lambda done: on_frame(done, total),
            warn=warnings.append,
        )
        warnings += join(film, [piece], target, start=start, end=end)
    return Report(target, piece.frames, time.monotonic() - started, tuple(warnings))


def color_piece(
    film: Film,
    path: Path,
    colorizer: Colorizer,
    encode: EncodeSettings,
    *,
    start: float | None,
    end: float | None,
    on_frame: Callable[[int], None],
    warn: Callable[[str], object],
) -> Piece:
    """Decode, colour and encode a stretch, three threads abreast."""
    size = colorizer.luma_size(float(film.width * film.sample_aspect), film.height)
    with read_luma(film, size, start=start, end=end, warn=warn) as frames:
        batches = ahead(in_batches(frames, colorizer))
        with closing(ahead(color_batches(batches, colorizer, film))) as colored:
            first = next(colored)
            height, width = first[0].chroma.shape[1:]
            with write_piece(film, path, (width, height), encode, start=start) as writer:
                for frame in itertools.chain(first, itertools.chain.from_iterable(colored)):
                    writer.write(frame.pts, frame.chroma)
                    on_frame(writer.frames)
    return writer.piece


def in_batches(frames: Iterator[LumaFrame], colorizer: Colorizer) -> Iterator[list[LumaFrame]]:
    """Group frames as many at a time as the colorizer wants at that moment."""
    while batch := list(itertools.islice(frames, colorizer.batch_size)):
        yield batch


def color_batches(
    batches: Generator[list[LumaFrame], None, None], colorizer: Colorizer, film: Film
) -> Iterator[list[ChromaFrame]]:
    """Luma to chroma, in the code values of the film's own matrix and range."""
    with closing(batches):
        for batch in batches:
            luma = torch.from_numpy(np.stack([frame.pixels for frame in batch])[:, None])
            chroma = color.between_matrices(colorizer.chroma(luma), film.matrix)
            codes = color.to_codes(chroma, film.full_range).numpy()
            yield [ChromaFrame(frame.pts, plane) for frame, plane in zip(batch, codes, strict=True)]


def expected_frames(film: Film, start: float | None, end: float | None) -> int | None:
    """How many frames progress should expect; None where the film does not tell."""
    if film.frame_count is None or (start is None and end is None):
        return film.frame_count
    if not film.duration or not film.frame_rate:
        return None
    seconds = min(end or film.duration, film.duration) - (start or 0)
    return max(1, round(seconds * film.frame_rate))
