"""Time of smoothing, beside that of the generator: `python benchmarks/smoothing.py [N] [cpu|cuda]`.

On a CPU its time on one thread, on a GPU the time that passes.
"""

import sys
import time
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor import Colorizer, RenderSettings
from vidcolor.chroma.temporal.backend import backend_for
from vidcolor.chroma.temporal.filter import SmallFrame, TemporalFilter
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

SQUARES = (192, 256, 336, 448)
"""Sides of the pictures of DeOldify's networks at render factors 12, 16, 21 and 28."""


def pan(count: int, width: int, height: int) -> Iterator[NDArray]:
    """(height, width) uint8: a window that slides over a textured picture."""
    random = np.random.default_rng(1)
    wide = random.uniform(0, 255, (height, width + 2 * count)).astype(np.float32)
    picture = cv2.GaussianBlur(wide, (0, 0), 2).clip(0, 255).astype(np.uint8)
    for number in range(count):
        yield picture[:, 2 * number : 2 * number + width].copy()


def flicker(lumas: Iterable[NDArray], size: tuple[int, int], device: str) -> list[SmallFrame]:
    """The same with a color of size (width, height) that differs from frame to frame."""
    random = torch.Generator(device).manual_seed(2)
    width, height = size
    return [
        SmallFrame(
            number, luma, torch.randn(2, height, width, generator=random, device=device) / 10, False
        )
        for number, luma in enumerate(lumas)
    ]


def milliseconds(frames: list[SmallFrame], strength: str) -> float:
    """Time of one frame."""
    device = frames[0].chroma.device
    backend, settings = backend_for(device), SmoothSettings(strength=strength)
    list(
        TemporalFilter(settings, backend=backend).run(frames[:2])
    )  # the first call prepares the device
    started = now(device)
    for _ in TemporalFilter(settings, backend=backend).run(frames):
        pass
    return (now(device) - started) / len(frames) * 1000


def now(device: torch.device) -> float:
    """Seconds: of the CPU's work, or until the GPU is done."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def row(name: str, frames: list[SmallFrame], generator: float) -> str:
    normal, strong = (milliseconds(frames, strength) for strength in ("normal", "strong"))
    share = f"{normal / generator:8.0%}" if generator else f"{'':8}"
    return f"{name:16} {generator or '':>12.4} {normal:8.1f} {strong:8.1f} {share}"


def main() -> None:
    count = int([*sys.argv[1:], "60"][0])
    device = [*sys.argv[2:], "cpu"][0]
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    print(f"milliseconds of one frame, {device}")
    print(f"{'luma':16} {'generator':>12} {'normal':>8} {'strong':>8} {'share':>8}")

    weights = carried_folder() / LITE.file
    colorizer = Colorizer(load_generator(weights), RenderSettings(), device=device)
    width, height = colorizer.luma_size(16, 9)
    lumas = list(pan(count, width, height))
    batch = torch.from_numpy(np.stack(lumas)[:, None])
    colorizer.chroma(batch[:1])  # the first call prepares the device
    started = now(colorizer.device)
    chroma = colorizer.chroma(batch)
    generator = (now(colorizer.device) - started) / count * 1000
    down, across = chroma.shape[2:]
    print(row(f"lite {width}x{height}", flicker(lumas, (across, down), device), generator))
    for side in SQUARES:
        print(row(f"square {side}", flicker(pan(count, side, side), (side, side), device), 0))


if __name__ == "__main__":
    main()
