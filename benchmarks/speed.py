"""How far vidcolor is from a plain transcode of the same film, the floor of any such tool."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from vidcolor import Colorizer, RenderSettings, colorize_film
from vidcolor.media.binary import find_ffmpeg
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder


def make_film(path: Path, seconds: float, size: str = "1280x720") -> None:
    """A moving gray test picture with noise, so that the encoder has something to do."""
    picture = f"testsrc2=size={size}:rate=24:duration={seconds},noise=alls=12:allf=t,hue=s=0"
    ffmpeg("-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", "-crf", "17", str(path))


def ffmpeg(*arguments: str) -> None:
    subprocess.run(
        [str(find_ffmpeg().path), "-nostdin", "-v", "error", "-y", *arguments], check=True
    )


def transcode(source: Path, target: Path) -> None:
    """What `colorize_film` does to the picture, less the colors."""
    ffmpeg("-i", str(source), "-c:v", "libx264", "-preset", "medium", "-crf", "17", str(target))


def seconds_of(work, *arguments) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def generator_rate(colorizer: Colorizer, frames: int = 64) -> float:
    """Frames a second of the generator alone, luma at hand."""
    width, height = colorizer.luma_size(16, 9)
    luma = torch.randint(0, 256, (frames, 1, height, width), dtype=torch.uint8)
    colorizer.chroma(luma[:8])
    return frames / seconds_of(colorizer.chroma, luma)


def main() -> None:
    length = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    colorizer = Colorizer(load_generator(carried_folder() / LITE.file), RenderSettings())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "film.mp4"
        make_film(source, length)
        plain = seconds_of(transcode, source, folder / "plain.mp4")
        ours = seconds_of(colorize_film, source, folder / "ours.mp4", colorizer)
    frames = 24 * length
    print(f"generator alone    {generator_rate(colorizer):7.1f} fps")
    print(f"plain transcode    {frames / plain:7.1f} fps  ({plain:.1f} s)")
    print(f"vidcolor, lite     {frames / ours:7.1f} fps  ({ours:.1f} s)")
    print(f"ours over plain    {ours / plain:7.2f}")


if __name__ == "__main__":
    main()
