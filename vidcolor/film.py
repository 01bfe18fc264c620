"""One film, path to path: probe, decode, colour, encode, join, publish."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vidcolor import color
from vidcolor.ahead import ahead
from vidcolor.colorizer import Colorizer
from vidcolor.errors import MediaError
from vidcolor.media.containers import check_target
from vidcolor.media.join import join
from vidcolor.media.probe import Film, probe
from vidcolor.media.read import LumaFrame, read_luma
from vidcolor.media.write import EncodeSettings, write_piece


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
    film = probe(source)
    refuse_source(source, target)
    check_target(film, target, encode)
    total = expected_frames(film, start, end)

    with tempfile.TemporaryDirectory(prefix=f".{target.stem[:40]}.", dir=target.parent) as folder:
        piece = Path(folder) / "piece"
        frames = color_piece(film, piece, colorizer, encode, start, end, on_frame, total)
        if frames == 0:
            raise MediaError(f"{source}: no frame could be decoded; is the film complete?")
        whole = Path(folder) / f"whole{target.suffix}"
        warnings = join(film, [piece], whole, start=start, end=end)
        publish(whole, target)
    return Report(target, frames, time.monotonic() - started, tuple(warnings))


def color_piece(
    film: Film,
    piece: Path,
    colorizer: Colorizer,
    encode: EncodeSettings,
    start: float | None,
    end: float | None,
    on_frame: Callable[[int, int | None], None],
    total: int | None,
) -> int:
    """Decode, colour and encode a stretch, three threads abreast; returns the number of frames."""
    size = colorizer.luma_size(film.width * film.sample_aspect, film.height)

    def colored(batches: Iterable[list[LumaFrame]]) -> Iterator[tuple[list[int], np.ndarray]]:
        for batch in batches:
            luma = torch.from_numpy(np.stack([frame.pixels for frame in batch]))
            yield [frame.pts for frame in batch], chroma_codes(colorizer, luma, film)

    done = 0
    with read_luma(film, size, start=start, end=end) as frames:
        stages = ahead(colored(ahead(in_batches(frames, colorizer))))
        with closing(stages):
            first = next(stages, None)
            if first is None:
                return 0
            height, width = first[1].shape[-2:]
            with write_piece(film, piece, (width, height), encode, start=start) as writer:
                for all_pts, planes in itertools.chain((first,), stages):
                    for pts, plane in zip(all_pts, planes, strict=True):
                        writer.write(pts, plane)
                        done += 1
                        on_frame(done, total)
    return done


def chroma_codes(colorizer: Colorizer, luma: torch.Tensor, film: Film) -> np.ndarray:
    """luma (B, h, w) uint8 -> (B, 2, h', w') uint8 code values in the film's matrix and range."""
    chroma = color.between_matrices(colorizer.chroma(luma[:, None]), film.matrix)
    return color.to_codes(chroma, film.full_range).numpy()


def in_batches(frames: Iterator[LumaFrame], colorizer: Colorizer) -> Iterator[list[LumaFrame]]:
    """Group frames as the colorizer wants them at that moment; it may halve its batch."""
    batch: list[LumaFrame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) >= colorizer.batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def expected_frames(film: Film, start: float | None, end: float | None) -> int | None:
    """How many frames progress should expect; None where the film does not tell."""
    if film.frame_count is None or (start is None and end is None):
        return film.frame_count
    if not film.duration or not film.frame_rate:
        return None
    seconds = min(end or film.duration, film.duration) - (start or 0)
    return max(1, round(seconds * film.frame_rate))


def refuse_source(source: Path, target: Path) -> None:
    """MediaError if `target` is the source itself, under whichever name."""
    if target.exists() and target.samefile(source):
        raise MediaError(f"{target} is the source itself; give another --output")


def publish(whole: Path, target: Path) -> None:
    """Give a complete file its final name, safely on disk."""
    with whole.open("r+b") as file:
        os.fsync(file.fileno())
    whole.replace(target)
