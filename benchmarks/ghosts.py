"""What smoothing does to correct colors: `python benchmarks/ghosts.py [--gpu] CLIP...`.

Each clip's own colors are smoothed: changes are ghosts, trails and washed-out colors. Then
patches of color are added that flicker, and how much smoothing removes of that error is printed,
without and with grain over luma. --gpu: the way of a GPU, run by one if there is one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from clips import clip_planes
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.chroma.temporal.backend import Backend
from vidcolor.chroma.temporal.filter import SmallFrame, TemporalFilter
from vidcolor.chroma.temporal.gpu import Gpu
from vidcolor.chroma.temporal.opencv import OpenCV
from vidcolor.chroma.temporal.settings import SmoothSettings

FRAMES = 60
LINES = 256
"""Height of the pictures: about as many pixels as DeOldify's networks see at render factor 21."""
FAR = 0.05
"""Distance in chroma that can be seen."""
FLICKER = 0.06
"""Deviation of the patches' chroma."""
GRAIN = 20.0
"""Deviation of the grain in levels of 255; it is about two pixels wide."""


def smoothed(lumas: Sequence[NDArray], chroma: Tensor, strength: str, backend: Backend) -> Tensor:
    """(t, 2, h, w)"""
    pairs = zip(lumas, chroma.unbind(), strict=True)
    frames = [SmallFrame(pts, *pair, cut=False) for pts, pair in enumerate(pairs)]
    results = TemporalFilter(SmoothSettings(strength=strength), backend=backend).run(frames)
    return torch.stack([frame.chroma.cpu() for frame in results])


def ghosts(lumas: Sequence[NDArray], chroma: Tensor, strength: str, backend: Backend) -> str:
    """How far right colors are moved: RMS, 99th percentile, share that can be seen at worst."""
    moved = (smoothed(lumas, chroma, strength, backend) - chroma).norm(dim=1)
    rms = float(moved.square().mean().sqrt())
    far = float((moved > FAR).float().mean((1, 2)).max())
    return f"{rms:8.4f} {np.percentile(moved.numpy(), 99):8.4f} {far:8.2%}"


def mended(lumas: Sequence[NDArray], chroma: Tensor, backend: Backend) -> str:
    """Share of the error of flickering patches that is taken away."""
    random = torch.Generator().manual_seed(1)
    patches = torch.randn(len(chroma), 2, 6, 8, generator=random) * FLICKER
    noisy = chroma + torch.nn.functional.interpolate(patches, chroma.shape[2:], mode="bilinear")
    ours = smoothed(lumas, noisy, "normal", backend)
    return f"{1 - float((ours - chroma).norm() / (noisy - chroma).norm()):8.0%}"


def with_grain(lumas: Sequence[NDArray]) -> list[NDArray]:
    random = np.random.default_rng(2)
    grainy = []
    for luma in lumas:
        noise = cv2.GaussianBlur(random.normal(0, 1, luma.shape), (0, 0), 1)
        grainy.append((luma + noise * (GRAIN / noise.std())).clip(0, 255).astype(np.uint8))
    return grainy


def main() -> None:
    words = sys.argv[1:]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backend = Gpu(device) if "--gpu" in words else OpenCV()
    columns = f"{'normal: RMS, 99 %, far':^26} {'strong: the same':^26}"
    print(f"{'':24} {columns} {'mended':>8} {'in grain':>8}")
    for path in (Path(word) for word in words if word != "--gpu"):
        frames = list(clip_planes(path, FRAMES, lines=LINES))
        lumas = [luma[0, 0].numpy() for luma, _ in frames]
        chroma = torch.cat([chroma for _, chroma in frames])
        moved = [ghosts(lumas, chroma, strength, backend) for strength in ("normal", "strong")]
        parts = [mended(some, chroma, backend) for some in (lumas, with_grain(lumas))]
        print(f"{path.stem:24}", *moved, *parts)


if __name__ == "__main__":
    main()
