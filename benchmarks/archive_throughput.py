"""One, two and four workers on this machine, and `vidcolor` alone, on the same films.

python benchmarks/archive_throughput.py [FILMS] [SECONDS]

Wall time means little on a machine that has other work, so processor time is measured, too.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from archive_films import make_film

RENDER_FACTOR = 12
SIZE = "320x240"
MARK = "VIDCOLOR_BENCHMARK"
TICKS = os.sysconf("SC_CLK_TCK")


class Measured(NamedTuple):
    wall: float
    """Seconds."""
    processor: float
    """Seconds of all processes, but the raylets' own children that are no workers."""
    report: dict


def run(*words: str | Path) -> Measured:
    """Measure a command that prints JSON."""
    command = [sys.executable, "-m", "vidcolor", *map(str, words), "--device", "cpu", "--json"]
    mark = uuid.uuid4().hex
    environment = {**os.environ, "OMP_NUM_THREADS": "1", MARK: mark}
    options = ["--quiet", "--render-factor", str(RENDER_FACTOR)]
    over, seen = threading.Event(), {}
    watching = threading.Thread(target=watch, args=(f"{MARK}={mark}".encode(), seen, over))
    watching.start()
    begun = time.monotonic()
    output = subprocess.check_output([*command, *options], env=environment)
    wall = time.monotonic() - begun
    over.set()
    watching.join()
    return Measured(wall, sum(seen.values()), json.loads(output))


def watch(mark: bytes, seen: dict[tuple[str, str], float], over: threading.Event) -> None:
    """Note the processor time of all processes with this mark in their environment.

    That of ffmpeg is in its parent's, which has waited for it.
    """
    while not over.wait(0.1):
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, IndexError):
                if mark not in (folder / "environ").read_bytes():
                    continue
                words = (folder / "cmdline").read_bytes()
                if b"ffmpeg" in words.split(b"\0")[0]:
                    continue
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
                waits_for_workers = b"raylet" in words or b"--ray" in words
                ticks = own if waits_for_workers else own + children
                seen[folder.name, fields[19]] = ticks / TICKS


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
        plain = run("colorize", source, "--output", folder / "plain")
        print(f"vidcolor: {plain.wall:.1f} s, {plain.processor:.1f} s of processor time")
        words = ("archive", source)
        scratch = ("--scratch", folder / "scratch")
        shard = run(*words, folder / "shard", "--shard", "1/1", *scratch)
        print(
            f"--shard 1/1: {shard.wall:.1f} s ({shard.wall / plain.wall:.2f} of vidcolor's), "
            f"processor {shard.processor:.1f} s ({shard.processor / plain.processor:.2f})"
        )
        alone = None
        for workers in (1, 2, 4):
            ray = ("--ray", "local", "--workers", str(workers), "--cpus-per-worker", "1")
            measured = run(*words, folder / f"ray {workers}", *ray, *scratch)
            report = measured.report
            starting = report["seconds_to_start"]
            took = report["seconds"] - starting
            alone = alone or took
            print(
                f"--ray local --workers {workers}: {starting:.1f} s to start, then {took:.1f} s, "
                f"{frames / took:.1f} fps: {alone / took:.2f} times as fast as one, efficiency "
                f"{alone / took / workers:.2f}; processor {measured.processor:.1f} s "
                f"({measured.processor / plain.processor:.2f} of vidcolor's)"
            )
        print(f"load of the machine: {os.getloadavg()}, cores: {os.cpu_count()}")


if __name__ == "__main__":
    main()
