"""Make a film of three shots from `hills.mp4`, to try scenes on: a distant one, a near one, a turn.

python examples/three_shots.py [OUT.mp4]      (vidcolor must be installed)
"""

import subprocess
import sys
from pathlib import Path

from vidcolor.media.binary import find_ffmpeg

GRAPH = (
    "[0:v]split=3[a][b][c];"
    "[a]trim=end_frame=48,setpts=PTS-STARTPTS[far];"
    "[b]trim=start_frame=36:end_frame=84,setpts=PTS-STARTPTS,"
    "crop=320:180:40:150,scale=640:360[near];"
    "[c]trim=start_frame=72,setpts=PTS-STARTPTS,hflip[turned];"
    "[far][near][turned]concat=n=3[v]"
)
"""Of ffmpeg's filters: 48 frames each."""


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else "shots.mp4"
    source = Path(__file__).with_name("hills.mp4")
    command = [find_ffmpeg().path, "-v", "error", "-y", "-i", source, "-filter_complex", GRAPH]
    command += ["-map", "[v]", "-map", "0:a", "-c:v", "libx264", "-crf", "17", "-c:a", "copy"]
    subprocess.run([*command, target], check=True)


if __name__ == "__main__":
    main()
