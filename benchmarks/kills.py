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
from vidcolor.resume.store import kept

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


def finished_pieces(target: Path) -> int:
    manifest = kept(target)
    return len(manifest.pieces) if manifest else 0


def kill(process: subprocess.Popen, target: Path, chance: random.Random) -> str | None:
    """Kill the run while it starts or soon after one of its next pieces; None if it ended first."""
    before = finished_pieces(target)
    wanted = chance.randint(0, 2)
    while process.poll() is None and finished_pieces(target) < before + wanted:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 4.0 if wanted == 0 else 1.0))
    process.kill()
    if process.wait() != -signal.SIGKILL:
        return None
    if target.exists():
        return "after the film had its name"
    manifest = kept(target)
    if manifest is None:
        return "before the first piece was finished"
    if manifest.complete:
        return "while the pieces were joined"
    if finished_pieces(target) == before:
        return "before a new piece was finished"
    return "after new pieces"


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    tally: Counter[str] = Counter()
    films = unlike = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "film.mp4", folder / "killed.mp4"
        make_film(source)
        assert start(source, folder / "whole.mp4").wait() == 0
        expected = decoded(folder / "whole.mp4")
        while kills:
            process = start(source, target)
            if killed := kill(process, target, chance):
                tally[killed] += 1
                kills -= 1
            elif process.wait() != 0:
                sys.exit(f"a run failed by itself with {process.returncode}")
            if target.exists():
                films += 1
                unlike += decoded(target) != expected
                target.unlink()
        assert start(source, target).wait() == 0
        films += 1
        unlike += decoded(target) != expected
        left = len(list(folder.glob(".vidcolor-*")))
    for what, number in tally.most_common():
        print(f"killed {what}: {number}")
    print(f"films finished: {films}; unlike the undisturbed one: {unlike}; folders left: {left}")
    sys.exit(bool(unlike or left))


if __name__ == "__main__":
    main()
