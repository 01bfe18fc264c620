"""Short clips of films, on which scores measure how colors change from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vidcolor.errors import RecipeError
from vidcolor.media.probe import Film, probe
from vidcolor.media.rgb import read_rgb
from vidcolor.nogan.photos import center

CLIPS = 6
FRAMES = 12
FEWEST = 5
"""Frames that a clip must have: color distribution consistency compares those 4 apart."""
START = 10.0
"""Seconds at most that are left out of a clip's beginning, where films fade in."""

Measure = Callable[[Sequence[NDArray]], float]
"""Color distribution consistency of frames (h, w, 3) uint8 RGB; lower is more stable."""


@dataclass(frozen=True)
class Clips:
    """A few successive frames of a few films."""

    frames: list[Tensor]
    """One (T, 3, n, n) uint8 per clip: luma, Cb, Cr of the middles of T frames in a row."""
    measure: Measure

    def mean(self, film_of: Callable[[Tensor], Tensor]) -> float:
        """The mean measure over all clips; film_of gives RGB (T, 3, n, n) in [0, 1] for a clip."""
        return sum(self.measure(pixels(film_of(clip))) for clip in self.frames) / len(self.frames)


def load_clips(paths: Sequence[Path], size: int, measure: Measure) -> Clips:
    """Read FRAMES frames of each of at most CLIPS films, evenly chosen from `paths`.

    Raises RecipeError where a film is too short, MediaError where it cannot be read.
    """
    chosen = np.linspace(0, len(paths) - 1, min(CLIPS, len(paths))).astype(int)
    return Clips([_moment(probe(paths[number]), size) for number in chosen], measure)


def _moment(film: Film, size: int) -> Tensor:
    scale = size / min(film.width, film.height)
    shape = round(film.width * scale), round(film.height * scale)
    start = min(START, (film.duration or 0) / 3)
    with closing(read_rgb(film, shape)) as frames:
        late = (frame.rgb for frame in frames if frame.time >= start)
        crops = [_crop(rgb, size) for rgb in islice(late, FRAMES)]
    if len(crops) < FEWEST:
        raise RecipeError(f"{film.path} has too few frames to score with; leave it out of --clips")
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


def _crop(rgb: NDArray, size: int) -> NDArray:
    """The middle of a frame as photos are kept: (size, size, 3) uint8 luma, Cb, Cr."""
    return center(np.asarray(Image.fromarray(rgb).convert("YCbCr")), size)


def pixels(film: Tensor) -> list[NDArray]:
    """RGB (T, 3, n, n) in [0, 1] -> frames that a measure takes."""
    return list((film * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
