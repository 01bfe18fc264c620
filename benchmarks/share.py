"""What smoothing and guided edges add to a whole run: `python benchmarks/share.py [CLIP] [N]`.

CPU seconds, of this process and of ffmpeg's, of a 1080p film colored by `lite`. Times of one run
can be compared with each other alone, and best with nothing else running.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from speed import ffmpeg

from vidcolor import Colorizer, colorize_film
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.settings import FilmSettings
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

ROUNDS = 2
"""The better of so many counts; they take turns, so that a busy moment spoils no row alone."""

MOVING = "testsrc2=size=1920x1080:rate=24,noise=alls=12:allf=t"


def make_film(path: Path, clip: Path | None, frames: int) -> None:
    """The clip at 1080p and in gray, as often as needed; a test picture without one."""
    source = ["-stream_loop", "-1", "-i", str(clip)] if clip else ["-f", "lavfi", "-i", MOVING]
    picture = ["-vf", "scale=1920:1080,hue=s=0", "-frames:v", str(frames), "-an"]
    ffmpeg(*source, *picture, "-pix_fmt", "yuv420p", "-crf", "17", str(path))


def cpu_seconds() -> float:
    """Spent so far by this process and by those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run(source: Path, smooth: str, edges: str) -> float:
    colorizer = Colorizer(load_generator(carried_folder() / LITE.file), device="cpu")
    started = cpu_seconds()
    target = source.with_name("ours.mp4")
    settings = FilmSettings(smooth=SmoothSettings(strength=smooth), edges=edges, fresh=True)
    colorize_film(source, target, colorizer, settings)
    return cpu_seconds() - started


def measure(source: Path, ways: Sequence[tuple[str, str]]) -> list[float]:
    return [run(source, smooth, edges) for smooth, edges in ways]


def main() -> None:
    words = sys.argv[1:]
    frames = int(words.pop()) if words and words[-1].isdigit() else 60
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "film.mp4"
        make_film(source, Path(words[0]) if words else None, frames)
        ways = list(product(("off", "normal"), ("bilinear", "guided")))
        spent = [
            min(times)
            for times in zip(*(measure(source, ways) for _ in range(ROUNDS)), strict=True)
        ]
        for (smooth, edges), seconds in zip(ways, spent, strict=True):
            added = seconds - spent[0]
            print(
                f"--smooth {smooth:6} --edges {edges:8} {seconds / frames * 1000:7.1f} ms a frame,"
                f" {added / frames * 1000:+6.1f}, {added / seconds:+6.1%} of the run"
            )


if __name__ == "__main__":
    main()
