"""Time to color one shot of a film again, over that of the whole film, and whether both are equal.

Wall time, and the time of all processors, which other programs disturb less. Both include the start
of Python and the loading of torch and of the model.

python benchmarks/fix_shot.py [MINUTES]

A gray film of 10 minutes with 100 shots is colored with --scenes and --keep; then the saturation of
one scene is changed, and the same command is given again. The result is compared, frame by frame
and stream by stream, with a film that is colored from scratch with the same change.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from kills import decoded
from speed import ffmpeg

SHOT = 6
"""Seconds."""
CHANGED = 40
"""Number of the scene that is changed."""
QUICK = ("--render-factor", "4", "--device", "cpu")


def make_film(path: Path, seconds: int) -> None:
    """With a cut every SHOT seconds, and sound."""
    picture = f"testsrc2=size=128x96:rate=12:duration={seconds},hue=s=0"
    cuts = f"negate=enable='mod(floor(t/{SHOT}),2)'"
    ffmpeg(
        *("-f", "lavfi", "-i", f"{picture},{cuts}"),
        *("-f", "lavfi", "-i", f"sine=duration={seconds}"),
        *("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", str(path)),
    )


class Times(NamedTuple):
    """Of one command, in seconds."""

    wall: float
    processors: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processors:.1f} s of processors)"

    def over(self, other: "Times") -> str:
        wall, processors = self.wall / other.wall, self.processors / other.processors
        return f"{wall:.1%} of its wall time, {processors:.1%} of its processor time"


def used() -> float:
    """Processor time of all commands that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def vidcolor(*words: str) -> tuple[Times, str]:
    """How long it took, and what was printed."""
    started, before = time.monotonic(), used()
    command = [sys.executable, "-m", "vidcolor", *words]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Times(time.monotonic() - started, used() - before), said


def color(film: Path, scenes: Path, target: Path, *more: str) -> tuple[Times, dict]:
    """How long it took, and the summary of the run."""
    words = ("--scenes", str(scenes), "--output", str(target), "--quiet", "--json", *QUICK, *more)
    times, said = vidcolor(str(film), *words)
    return times, json.loads(said)[0]


def change(scenes: Path) -> None:
    """Give one scene another saturation."""
    heads = re.split(r"(?m)^(?=\[\[scene\]\])", scenes.read_text())
    heads[CHANGED] = f"{heads[CHANGED].rstrip()}\nsaturation = 0.5\n\n"
    scenes.write_text("".join(heads))


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film, scenes = folder / "film.mp4", folder / "film.scenes.toml"
        make_film(film, round(60 * minutes))
        found, _ = vidcolor("scenes", str(film))
        print(f"{scenes.read_text().count('[[scene]]')} scenes found in {found}")
        kept, scratch = folder / "kept.mp4", folder / "scratch.mp4"
        whole, summary = color(film, scenes, kept, "--keep")
        print(f"whole film: {summary['frames']} frames in {whole}")
        change(scenes)
        nothing, _ = vidcolor("info")
        print(f"vidcolor info: {nothing}")
        shot, summary = color(film, scenes, kept, "--keep")
        colored = summary["frames"] - summary["kept"]
        print(f"one scene changed: {colored} frames colored in {shot}: {shot.over(whole)}")
        anew, summary = color(film, scenes, scratch)
        print(f"from scratch with that change: {anew}")
        same = decoded(kept) == decoded(scratch)
        print(f"every frame of every stream equal: {same}")
        if not same:
            sys.exit(1)


if __name__ == "__main__":
    main()
