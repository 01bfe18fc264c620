"""Damage small films in every way and color them: no traceback, no hang, no half a film.

    python tests/fuzz.py --films 300 --seed 1

Films are colored by the command itself, many in one process; another process watches the clock,
as a hang can only be seen from outside. Prints a tally; ends with 1 if a film did what none may.
"""

import argparse
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import av
from click.testing import CliRunner

from vidcolor.cli import vidcolor
from vidcolor.media.binary import find_ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=2")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "12", "-pix_fmt", "yuv420p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-g", "12")
CONTAINERS = {
    "mp4": (*TONE, *H264, "-c:a", "aac", "-movflags", "+faststart"),
    "mov": (*TONE, "-c:v", "prores_ks", "-c:a", "pcm_s16le"),
    "mkv": (*TONE, *H264, "-c:a", "flac"),
    "webm": (*TONE, "-c:v", "libvpx", "-c:a", "libopus"),
    "avi": (*TONE, "-c:v", "mpeg4", "-q:v", "3", "-c:a", "mp3"),
    "mpg": (*TONE, *MPEG2, "-c:a", "mp2"),
    "ts": (*TONE, *H264, "-c:a", "aac"),
    "flv": (*TONE, "-c:v", "flv", "-c:a", "mp3"),
    "gif": (),
    "y4m": ("-pix_fmt", "yuv420p"),
    "mxf": (*MPEG2, "-s", "720x576", "-frames:v", "8"),
    "wmv": (*TONE, "-c:v", "wmv2", "-c:a", "wmav2"),
}
SETTINGS = ("--render-factor", "4", "--device", "cpu", "--preset", "ultrafast")

GOOD = ("colored", "colored with warnings", "refused")


def flip(film: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 10, 100))):
        film[dice.randrange(len(film))] ^= 1 << dice.randrange(8)


def truncate(film: bytearray, dice: random.Random) -> None:
    del film[dice.randrange(len(film)) :]


def remove(film: bytearray, dice: random.Random) -> None:
    begin, end = _stretch(film, dice)
    del film[begin:end]


def repeat(film: bytearray, dice: random.Random) -> None:
    begin, end = _stretch(film, dice)
    film[end:end] = film[begin:end]


def erase(film: bytearray, dice: random.Random) -> None:
    begin, end = _stretch(film, dice)
    film[begin:end] = bytes([dice.choice((0, 0xFF))]) * (end - begin)


def edit_header(film: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randrange(1, 5)):
        place = dice.randrange(min(len(film), 1500))
        if dice.random() < 0.3:
            place = len(film) - 1 - place
        film[place] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def edit_number(film: bytearray, dice: random.Random) -> None:
    place = dice.randrange(min(len(film), 4000))
    film[place : place + 4] = dice.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1)).to_bytes(4, "big")


def _stretch(film: bytearray, dice: random.Random) -> tuple[int, int]:
    begin = dice.randrange(len(film))
    return begin, begin + dice.randrange(1, max(2, len(film) // 5))


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(flip, truncate, remove, repeat, erase, edit_header, edit_number),
)


def films(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str, Path]]:
    """(container, mutation, path) of so many damaged films, the same ones for the same seed."""
    originals = {}
    for container, options in CONTAINERS.items():
        path = folder / f"whole.{container}"
        command = [find_ffmpeg().path, "-nostdin", "-v", "error", *PICTURE, *options, path]
        subprocess.run(command, check=True)
        originals[container] = path.read_bytes()
    for number in range(count):
        dice = random.Random(f"{seed} {number}")
        container = list(CONTAINERS)[number % len(CONTAINERS)]
        mutation = dice.choice(MUTATIONS)
        film = bytearray(originals[container])
        mutation(film, dice)
        path = folder / f"{number:05d}.{container}"
        path.write_bytes(film)
        yield container, mutation.__name__, path


def color(path: Path) -> dict[str, str]:
    """Color one film in this process and say what became of it."""
    target = path.with_suffix(".out.mkv")
    before = _children()
    result = CliRunner().invoke(vidcolor, [str(path), "-o", str(target), "--json", *SETTINGS])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return {"end": "TRACEBACK", "said": repr(result.exception)}
    if _children() != before:
        return {"end": "PROCESS LEFT", "said": str(path)}
    (outcome,) = json.loads(result.stdout)
    kept = "the same command goes on" in (outcome["error"] or "")
    if list(path.parent.glob(".vidcolor-*")) and not kept:
        return {"end": "WORK LEFT", "said": result.stderr}
    if outcome["status"] == "failed":
        end = "HALF A FILM" if target.exists() else "refused"
        if "\n" in outcome["error"]:
            end = "MANY LINES"
        return {"end": end, "said": outcome["error"]}
    with av.open(str(target)) as film:
        frames = sum(1 for _ in film.decode(video=0))
    if frames != outcome["frames"]:
        return {"end": "HALF A FILM", "said": f"{frames} frames, not {outcome['frames']}"}
    warned = outcome["warnings"]
    return {"end": "colored with warnings" if warned else "colored", "said": "; ".join(warned)}


def _children() -> set[str]:
    """Process ids of this process's children, as far as the system tells."""
    tasks = Path("/proc/self/task")
    return {pid for task in tasks.glob("*/children") for pid in task.read_text().split()}


class Worker:
    """A process that colors one film after the other until one of them kills it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.alive = True

    def color(self, path: Path, limit: float) -> dict[str, str]:
        """What became of a film within `limit` seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        try:
            answer = self._answers.get(timeout=limit)
        except queue.Empty:
            self.stop()
            return {"end": "HANG", "said": f"longer than {limit:.0f} s"}
        if answer:
            return json.loads(answer)
        self.alive = False
        return {"end": "CRASH", "said": f"status {self._process.wait()}"}

    def stop(self) -> None:
        """End the process and what it started."""
        self.alive = False
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        pids = [int(pid) for task in children for pid in task.read_text().split()]
        for pid in [self._process.pid, *pids]:
            os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")


def main() -> int:
    """The script."""
    parser = argparse.ArgumentParser(description="Damage small films and color them.")
    parser.add_argument("--films", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60, help="seconds for one film")
    parser.add_argument("--keep", type=Path, help="folder for the films that did what none may")
    parser.add_argument("--tell", action="store_true", help="say what became of every film")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        for line in sys.stdin:
            print(json.dumps(color(Path(line.rstrip("\n")))), flush=True)
        return 0

    tally: dict[str, Counter[str]] = {container: Counter() for container in CONTAINERS}
    worker = Worker()
    with tempfile.TemporaryDirectory() as folder:
        for container, mutation, path in films(Path(folder), options.films, options.seed):
            if not worker.alive:
                worker = Worker()
            became = worker.color(path, options.limit)
            tally[container][became["end"]] += 1
            bad = became["end"] not in GOOD
            if bad or options.tell:
                print(f"{path.name}, {mutation}: {became['end']}: {became['said']}", flush=True)
            if bad and options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / path.name).write_bytes(path.read_bytes())
            for left in [*Path(folder).glob(f"{path.stem}.*"), *Path(folder).glob(".vidcolor-*")]:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        if worker.alive:
            worker.stop()
    return report(tally)


def report(tally: dict[str, Counter[str]]) -> int:
    """Print the tally; 1 if anything in it is not good."""
    total = sum(tally.values(), Counter())
    ends = [*GOOD, *sorted(total.keys() - set(GOOD))]
    print(" " * 6, *(f"{end:>{max(9, len(end))}}" for end in ends))
    for name, counts in [*tally.items(), ("all", total)]:
        print(f"{name:6}", *(f"{counts[end]:{max(9, len(end))}d}" for end in ends))
    return 0 if total.keys() <= set(GOOD) else 1


if __name__ == "__main__":
    sys.exit(main())
