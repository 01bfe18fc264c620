"""Kill a run at random moments, again and again; the film must be that of a run left in peace.

python benchmarks/kills.py [KILLS] [SEED]
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

from vidcolor.media.binary import find_ffmpeg
from vidcolor.pieces import kept

SECONDS = 60
PIECE = 2.0


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


def start(source: Path, target: Path) -> subprocess.Popen:
    words = [str(source), "--output", str(target), "--quiet", "--overwrite"]
    options = ["--piece-seconds", str(PIECE), "--render-factor", "4", "--device", "cpu"]
    return subprocess.Popen([sys.executable, "-m", "vidcolor", *words, *options])


def moment(target: Path, frames: int, finished: bool) -> str:
    """What the run was at when it was killed."""
    manifest = kept(target)
    if finished:
        return "after the film had its name"
    if manifest is None:
        return "before the first piece"
    if manifest.complete:
        return "while joining"
    return "within a piece" if manifest.frames > frames else "before its first new piece"


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    tally: Counter[str] = Counter()
    rounds = unlike = left = 0
    done = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "film.mp4", folder / "killed.mp4"
        make_film(source)
        begun = time.monotonic()
        assert start(source, folder / "whole.mp4").wait() == 0
        whole = time.monotonic() - begun
        expected = decoded(folder / "whole.mp4")
        while kills or not done:
            before = kept(target)
            process = start(source, target)
            if kills:
                try:
                    # Starting takes some seconds; a tenth of the film more spreads the kills.
                    process.wait(chance.uniform(0.2, 0.5) * whole)
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills -= 1
                    process.wait()
                    finished = target.exists()
                    tally[moment(target, before.frames if before else 0, finished)] += 1
            done = process.wait() == 0
            if done:
                rounds += 1
                unlike += decoded(target) != expected
                left += len(list(folder.glob(".vidcolor-*")))
                if kills:
                    target.unlink()
            elif process.returncode != -signal.SIGKILL:
                sys.exit(f"a run failed by itself with {process.returncode}")
    for what, number in tally.most_common():
        print(f"killed {what}: {number}")
    print(f"films finished: {rounds}; unlike the undisturbed one: {unlike}; folders left: {left}")
    sys.exit(bool(unlike or left))


if __name__ == "__main__":
    main()
