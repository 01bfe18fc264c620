"""Memory, open files and threads of a long run, at 1 %, 50 % and 99 % of it.

python benchmarks/long.py [FRAMES]
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from speed import ffmpeg

from vidcolor import Colorizer, RenderSettings, colorize_film
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

SHARES = (0.01, 0.5, 0.99)


def figures() -> str:
    """Of this process and of its children (Linux)."""
    own = Path("/proc/self")
    children = (own / "task" / str(os.getpid()) / "children").read_text().split()
    files = len(list((own / "fd").iterdir()))
    threads = len(list((own / "task").iterdir()))
    ffmpegs = ", ".join(f"{resident(Path('/proc') / child):.0f}" for child in children)
    return (
        f"{resident(own):7.1f} MB, {files:3d} files, {threads:3d} threads "
        f"({threading.active_count()} of Python's), ffmpeg: {ffmpegs} MB"
    )


def resident(process: Path) -> float:
    """Megabytes."""
    pages = int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    marks = {max(1, round(share * frames)): share for share in SHARES}
    colorizer = Colorizer(
        load_generator(carried_folder() / LITE.file), RenderSettings(render_factor=4), device="cpu"
    )

    def on_frame(done: int, total: int | None) -> None:
        if done in marks:
            print(f"{100 * marks[done]:4.0f} %: {figures()}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "film.mp4", Path(name) / "color.mp4"
        picture = f"testsrc2=size=64x48:rate=25:duration={frames / 25},hue=s=0"
        ffmpeg("-f", "lavfi", "-i", picture, "-preset", "ultrafast", "-bf", "2", str(source))
        started = time.monotonic()
        report = colorize_film(source, target, colorizer, on_frame=on_frame)
        seconds = time.monotonic() - started
        print(f"{report.frames} of {frames} frames in {seconds:.0f} s")
        print(f"afterwards: {figures()}")
        left = [path.name for path in Path(name).iterdir() if path not in (source, target)]
        print(f"left behind: {left or 'nothing'}")


if __name__ == "__main__":
    main()
