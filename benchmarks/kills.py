"""Kill a run at random moments, again and again; the film must be that of an undisturbed run.

python benchmarks/kills.py [KILLS] [SEED] [SAVE_EVERY]

SAVE_EVERY: seconds of wall time after which colors are saved within a piece, as in runs with slow
models; 0 is after every batch. Pieces are then longer, so that most kills fall into one.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from speed import ffmpeg

from vidcolor import Colorizer, colorize_film
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.binary import find_ffmpeg
from vidcolor.resume.store import PieceSettings, kept
from vidcolor.settings import FilmSettings
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

SECONDS = 60
PIECE = 2.0
LONG_PIECE = 20.0

SAVING = "saving"
"""First argument of the process that is killed where colors are saved within pieces."""


def make_film(path: Path) -> None:
    """Gray, every third frame missing, frames stored out of order, sound, a start at 1.5 s."""
    picture = f"testsrc2=size=128x96:rate=24:duration={SECONDS},hue=s=0"
    ffmpeg(
        *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=duration={SECONDS}"),
        *("-vf", "select=lt(mod(n\\,3)\\,2)", "-fps_mode", "passthrough"),
        *("-enc_time_base", "1:24000", "-video_track_timescale", "24000"),
        *("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-output_ts_offset", "1.5", str(path)),
    )


def decoded(path: Path) -> str:
    """Timestamp and hash of every decoded frame of every stream."""
    return subprocess.run(
        [
            *(str(find_ffmpeg().path), "-nostdin", "-v", "error", "-copyts", "-i", str(path)),
            *("-map", "0", "-fps_mode", "passthrough", "-f", "framemd5", "-"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def start(source: Path, target: Path, save_every: str | None) -> subprocess.Popen:
    if save_every is not None:
        words = [SAVING, str(source), str(target), save_every]
        return subprocess.Popen([sys.executable, __file__, *words])
    words = [str(source), "--output", str(target), "--quiet", "--overwrite"]
    options = ["--piece-seconds", str(PIECE), "--render-factor", "4", "--device", "cpu"]
    return subprocess.Popen([sys.executable, "-m", "vidcolor", *words, *options])


def color(source: str, target: str, save_every: str) -> None:
    """The work of that process."""
    generator = load_generator(carried_folder() / LITE.file)
    colorizer = Colorizer(generator, RenderSettings(render_factor=4), device="cpu")
    pieces = PieceSettings(seconds=LONG_PIECE, save_every=float(save_every))
    colorize_film(source, target, colorizer, FilmSettings(pieces=pieces))


def finished_parts(target: Path) -> int:
    """Pieces, and saved colors of the piece in progress."""
    manifest = kept(target)
    return len(manifest.pieces) + len(manifest.checkpoints) if manifest else 0


def kill(process: subprocess.Popen, target: Path, random_numbers: random.Random) -> str | None:
    """Kill the run while it starts or soon after one of its next parts; None if it ended first."""
    before = finished_parts(target)
    wanted = random_numbers.randint(0, 2)
    while process.poll() is None and finished_parts(target) < before + wanted:
        time.sleep(0.01)
    time.sleep(random_numbers.uniform(0, 4.0 if wanted == 0 else 1.0))
    process.kill()
    if process.wait() != -signal.SIGKILL:
        return None
    if target.exists():
        return "after the film had its name"
    manifest = kept(target)
    if manifest is None:
        return "before anything was finished"
    if manifest.complete:
        return "while the pieces were joined"
    if finished_parts(target) <= before:
        return "before more was finished"
    return "after more was finished"


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    save_every = sys.argv[3] if len(sys.argv) > 3 else None
    random_numbers = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    tally: Counter[str] = Counter()
    films = unlike = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "film.mp4", folder / "killed.mp4"
        make_film(source)
        assert start(source, folder / "whole.mp4", save_every).wait() == 0
        expected = decoded(folder / "whole.mp4")
        while kills:
            process = start(source, target, save_every)
            if killed := kill(process, target, random_numbers):
                tally[killed] += 1
                kills -= 1
            elif process.wait() != 0:
                sys.exit(f"a run failed by itself with {process.returncode}")
            if target.exists():
                films += 1
                unlike += decoded(target) != expected
                target.unlink()
        assert start(source, target, save_every).wait() == 0
        films += 1
        unlike += decoded(target) != expected
        left = len(list(folder.glob(".vidcolor-*")))
    for what, number in tally.most_common():
        print(f"killed {what}: {number}")
    print(f"films finished: {films}; unlike the undisturbed one: {unlike}; folders left: {left}")
    sys.exit(bool(unlike or left))


if __name__ == "__main__":
    if sys.argv[1:2] == [SAVING]:
        color(*sys.argv[2:])
    else:
        main()
