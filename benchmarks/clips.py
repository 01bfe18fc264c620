"""Color clips as planes, for the scripts beside this file."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import torch
from torch import Tensor

from vidcolor.chroma import matrices


def clip_planes(
    path: Path, count: int, *, every: int = 1, lines: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """(luma (1, 1, h, w) uint8, chroma (1, 2, h, w)) of `count` frames.

    every: take one frame of so many. lines: height of the planes; half the clip's own if None.
    """
    with av.open(str(path)) as container:
        for frame in itertools.islice(container.decode(video=0), 0, every * count, every):
            rgb = frame.to_ndarray(format="rgb24")
            height, width, _ = rgb.shape
            share = 0.5 if lines is None else lines / height
            size = (round(width * share), round(height * share))
            small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            planes = torch.from_numpy(small).movedim(2, 0)[None] / 255
            yield (matrices.rgb_to_luma(planes) * 255).byte(), matrices.rgb_to_chroma(planes)
