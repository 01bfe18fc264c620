"""What becomes of a color clip's own chroma when it is made as small as `lite` makes it."""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from clips import clip_planes
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.chroma.upsample import upsample
from vidcolor.inference.colorizer import Colorizer
from vidcolor.models.lite import SCALE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.resolve import resolve

Enlarge = Callable[[Tensor, Tensor], Tensor]


def stretch(chroma: Tensor, luma: Tensor, how: int) -> Tensor:
    """Without a guide, as ffmpeg does (bicubic) where a film's edges are not guided."""
    size = (luma.shape[3], luma.shape[2])
    planes = [cv2.resize(plane, size, interpolation=how) for plane in chroma[0].numpy()]
    return torch.from_numpy(np.stack(planes))[None]


WAYS: dict[str, Enlarge] = {
    "bilinear": lambda chroma, luma: stretch(chroma, luma, cv2.INTER_LINEAR),
    "bicubic": lambda chroma, luma: stretch(chroma, luma, cv2.INTER_CUBIC),
    "guided": upsample,
}
EDGES = 0.93
"""Pixels whose luma, or chroma, changes more than in this share of the picture are edges."""


def clip_frames(path: Path, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """So many frames, evenly chosen, at the size of the clip's chroma planes."""
    with av.open(str(path)) as container:
        frames = container.streams.video[0].frames or count
    return clip_planes(path, count, every=max(1, frames // count))


def slope(planes: Tensor) -> Tensor:
    """(B, C, H, W) -> (H, W): how fast a picture changes."""
    across = F.pad(planes.diff(dim=3), (0, 1)).square()
    down = F.pad(planes.diff(dim=2), (0, 0, 0, 1)).square()
    return (across + down).sum(1)[0].sqrt()


def ab(luma: Tensor, chroma: Tensor) -> np.ndarray:
    rgb = matrices.merge(luma / 255, chroma)[0].movedim(0, 2).numpy()
    return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2Lab)[..., 1:]


def measures(luma: Tensor, chroma: Tensor, enlarged: Tensor) -> list[float]:
    """Error of a and b, the same at edges, and how sharp edges are, 1 as in the original."""
    light, colors = slope(luma.float()), slope(chroma)
    strong = (light > light.quantile(EDGES)).numpy()
    both = (light > light.quantile(EDGES)) & (colors > colors.quantile(EDGES))
    error = np.square(ab(luma, enlarged) - ab(luma, chroma)).sum(-1)
    sharpness = slope(enlarged)[both].mean() / colors[both].mean()
    return [error.mean() ** 0.5, error[strong].mean() ** 0.5, float(sharpness)]


def milliseconds(way: Enlarge, small: Tensor, height: int, width: int) -> float:
    """Of processor time."""
    luma = torch.randint(0, 256, (1, 1, height, width), dtype=torch.uint8)
    taken = []
    for _ in range(9):
        started = time.process_time()
        way(small, luma)
        taken.append(time.process_time() - started)
    return 1000 * min(taken)


def main() -> None:
    clips = [Path(name) for name in sys.argv[1:]]
    colorizer = Colorizer(load_generator(resolve("lite")), device="cpu")
    sums = {name: np.zeros(3) for name in WAYS}
    frames = 0
    small = torch.zeros(1, 2, 1, 1)
    for luma, chroma in itertools.chain.from_iterable(clip_frames(clip, 4) for clip in clips):
        frames += 1
        height, width = luma.shape[-2:]
        across, down = colorizer.luma_size(width, height)
        small = F.interpolate(chroma, (down // SCALE, across // SCALE), mode="area")
        for name, way in WAYS.items():
            sums[name] += measures(luma, chroma, way(small, luma))
    print(f"{frames} frames    ab error   at edges  sharpness   ms at 960x540   at 1920x1080")
    for name, way in WAYS.items():
        error, at_edges, sharpness = sums[name] / frames
        times = [milliseconds(way, small, *size) for size in ((540, 960), (1080, 1920))]
        print(
            f"{name:18}{error:8.2f}{at_edges:11.2f}{sharpness:11.2f}{times[0]:16.1f}{times[1]:15.1f}"
        )


if __name__ == "__main__":
    main()
