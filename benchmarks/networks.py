"""Processor time that each network takes for a frame, on one thread of a CPU.

python benchmarks/networks.py [NETWORK:RENDER_FACTOR ...]

`wide` is the network of `video` and `stable`, `deep` that of `artistic`, both with random weights,
which take as long as trained ones.
"""

import sys
import time

import torch

from vidcolor import Colorizer, RenderSettings
from vidcolor.models.unet import DEEP, WIDE, UNet
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

CASES = ("lite:12", "lite:24", "deep:10", "deep:21", "deep:35", "wide:10", "wide:21", "wide:35")
FILM = 90 * 60 * 24
"""Frames of a film of 90 minutes."""


def colorizer_for(network: str, render_factor: int) -> Colorizer:
    if network == "lite":
        generator = load_generator(carried_folder() / LITE.file)
    else:
        generator = UNet({"deep": DEEP, "wide": WIDE}[network]).eval().requires_grad_(False)
    return Colorizer(generator, RenderSettings(render_factor=render_factor), device="cpu")


def seconds_per_frame(colorizer: Colorizer, frames: int) -> float:
    """Processor time, which other programs disturb less than they do the clock."""
    width, height = colorizer.luma_size(16, 9)
    luma = torch.randint(0, 256, (frames, 1, height, width), dtype=torch.uint8)
    colorizer.chroma(luma[:1])
    started = time.process_time()
    colorizer.chroma(luma)
    return (time.process_time() - started) / frames


def main() -> None:
    torch.set_num_threads(1)
    print("network  render factor  seconds/frame  hours/90 min on 8 cores")
    for case in sys.argv[1:] or CASES:
        network, render_factor = case.split(":")
        colorizer = colorizer_for(network, int(render_factor))
        seconds = seconds_per_frame(colorizer, 32 if network == "lite" else 2)
        hours = seconds * FILM / 3600 / 8
        print(f"{network:<9}{render_factor:>13}{seconds:15.3f}{hours:25.1f}")


if __name__ == "__main__":
    main()
