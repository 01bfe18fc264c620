"""One, two and four workers on this machine, and `vidcolor` alone, on the same films.

python benchmarks/archive_throughput.py [FILMS] [SECONDS]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archive_films import make_film

RENDER_FACTOR = 12
SIZE = "320x240"


def run(*words: str | Path) -> tuple[float, dict]:
    """Wall time of a command, and the JSON that it prints."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "vidcolor", *map(str, words), "--device", "cpu", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    options = ["--quiet", "--render-factor", str(RENDER_FACTOR)]
    output = subprocess.check_output([*command, *options], env=environment)
    return time.monotonic() - begun, json.loads(output)


def main() -> None:
    count, seconds = (int(word) for word in [*sys.argv[1:], *("12", "6")[len(sys.argv) - 1 :]])
    frames = count * seconds * 25
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "films"
        source.mkdir()
        for number in range(count):
            make_film(source / f"{number:03d}.mp4", [seconds * 25], SIZE, first=number)
        print(
            f"{count} films of {seconds} s, {frames} frames of {SIZE}; one thread for each worker"
        )
        plain, _ = run("colorize", source, "--output", folder / "plain")
        print(f"vidcolor: {plain:.1f} s, {frames / plain:.1f} fps")
        words = ("archive", source)
        scratch = ("--scratch", folder / "scratch")
        shard, _ = run(*words, folder / "shard", "--shard", "1/1", *scratch)
        print(f"--shard 1/1: {shard:.1f} s, {shard / plain:.2f} of the time of vidcolor")
        alone = None
        for workers in (1, 2, 4):
            ray = ("--ray", "local", "--workers", str(workers), "--cpus-per-worker", "1")
            wall, report = run(*words, folder / f"ray {workers}", *ray, *scratch)
            took = report["seconds"] - report["seconds_to_start"]
            alone = alone or took
            print(
                f"--ray local, {workers} workers: {wall:.1f} s, {wall - took:.1f} s of these to "
                f"start; then {frames / took:.1f} fps, "
                f"{report['frames_per_second_of_work']:.1f} fps of a worker while it colors; "
                f"{alone / took:.2f} times as fast as one, efficiency {alone / took / workers:.2f}"
            )
        print(f"load of the machine: {os.getloadavg()}, cores: {os.cpu_count()}")


if __name__ == "__main__":
    main()
