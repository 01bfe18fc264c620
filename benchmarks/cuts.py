"""How many cuts are found, and how many where none is: vidcolor and PySceneDetect.

python benchmarks/cuts.py CLIP...          (pip install scenedetect)

Gray stretches of the clips follow each other in films of 120 shots: as they are, dark, with grain,
with flicker, with overexposed frames and with black frames. Then each clip by itself. Clips that
have cuts are named with them: `clip.mp4:47,97`.
"""

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, ContentDetector, HashDetector, detect  # pyright: ignore[reportMissingImports]

from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.probe import probe
from vidcolor.shots import find_shots

SIZE = (320, 240)
SHOTS = 120
DETECTORS = {"adaptive": AdaptiveDetector, "content": ContentDetector, "hash": HashDetector}
"""Of PySceneDetect; told that shots may be of 2 frames."""

Frames = list[NDArray]


def load(clip: Path) -> Frames:
    """Gray, small."""
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return [cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA) for frame in frames]


def some(frames: Frames, chance: random.Random, change: Callable[[NDArray], NDArray]) -> Frames:
    """Change one to three frames in the middle of a shot."""
    if len(frames) < 15:
        return frames
    begin = chance.randint(5, len(frames) - 8)
    inside = range(begin, begin + chance.randint(1, 3))
    return [change(frame) if n in inside else frame for n, frame in enumerate(frames)]


def degraded(kind: str, frames: Frames, chance: random.Random) -> Frames:
    """One shot."""
    noise = np.random.default_rng(chance.randrange(2**32))
    frames = [frame.astype(np.float32) for frame in frames]
    if kind == "dark":
        return [16 + 0.3 * frame for frame in frames]
    if kind == "grain":
        return [frame + noise.normal(0, 14, frame.shape) for frame in frames]
    if kind == "flicker":
        return [frame * (1 + 0.12 * noise.normal()) for frame in frames]
    if kind == "overexposed frames":
        return some(frames, chance, lambda frame: 1.4 * frame + 110)
    if kind == "black frames":
        return some(frames, chance, lambda frame: 0 * frame + 16)
    return frames


def montage(kind: str, shots: Sequence[Frames], path: Path) -> list[int]:
    """Write a film of stretches of these shots; returns the frames at which its cuts are."""
    chance = random.Random(5)
    cuts, last, count = [], None, 0
    options = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "{}x{}".format(*SIZE), "-i", "-"]
    command = [find_ffmpeg().path, "-v", "error", "-y", *options, "-crf", "20", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for _ in range(SHOTS):
            last = chance.choice([number for number in range(len(shots)) if number != last])
            length = min(chance.randint(8, 45), len(shots[last]))
            begin = chance.randint(0, len(shots[last]) - length)
            part = degraded(kind, shots[last][begin : begin + length], chance)
            cuts += [count] if count else []
            count += length
            for frame in part:
                encoder.stdin.write(frame.clip(0, 255).astype(np.uint8).tobytes())
    return cuts


def found(path: Path) -> dict[str, list[int]]:
    """By detector."""
    own = [shot.first_frame for shot in find_shots(probe(path))][1:]
    others = {
        name: [first.frame_num for first, _ in detect(str(path), kind(min_scene_len=2))][1:]
        for name, kind in DETECTORS.items()
    }
    return {"vidcolor": own, **others}


def main() -> None:
    clips, shots = [], []
    for word in sys.argv[1:]:
        name, _, cuts = word.partition(":")
        clips.append((Path(name), [int(cut) for cut in cuts.split(",") if cut]))
        frames = load(clips[-1][0])
        ends = [*clips[-1][1], len(frames)]
        shots += [frames[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    kinds = ("as it is", "dark", "grain", "flicker", "overexposed frames", "black frames")
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            path = Path(folder) / "montage.mp4"
            cuts = set(montage(kind, shots, path))
            for name, frames in found(path).items():
                right = len(cuts & set(frames))
                print(f"{kind:20} {name:9} {right:3} of {len(cuts)}, {len(frames) - right} false")
    for path, cuts in clips:
        print(path.name, cuts, found(path))


if __name__ == "__main__":
    main()
