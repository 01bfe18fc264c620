"""The film that is colored, and a plain transcode of it."""

import subprocess
from pathlib import Path

from vidcolor.media.binary import find_ffmpeg

SIZES = {"1080p": (1920, 1080), "4k": (3840, 2160), "tiny": (128, 72)}
QUALITY = 17
"""Both of the film and of what is made of it."""


def make_film(path: Path, size: tuple[int, int], frames: int, *, held: int = 1) -> None:
    """Gray, with motion and grain, 24 frames a second. held: how often each picture is shown."""
    picture = f"testsrc2=size={size[0]}x{size[1]}:rate=24/{held},noise=alls=12:allf=t,hue=s=0"
    hold = ("-vf", "fps=24") if held > 1 else ()
    _ffmpeg(
        *("-f", "lavfi", "-i", picture, *hold, "-frames:v", str(frames), "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(QUALITY), str(path)),
    )


def transcode(film: Path, target: Path, preset: str) -> None:
    """What `colorize_film` does to the picture, less the colors."""
    _ffmpeg(
        *("-i", str(film), "-c:v", "libx264", "-preset", preset),
        *("-crf", str(QUALITY), str(target)),
    )


def decode(film: Path) -> None:
    """The film, decoded and thrown away."""
    _ffmpeg("-i", str(film), "-f", "null", "-")


def to_pictures(film: Path, folder: Path) -> None:
    """Each frame as a file."""
    _ffmpeg("-i", str(film), "-q:v", "2", str(folder / "%06d.jpg"))


def from_pictures(folder: Path, target: Path, preset: str) -> None:
    """The film that files of frames make."""
    _ffmpeg(
        *("-framerate", "24", "-i", str(folder / "%06d.jpg"), "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-preset", preset, "-crf", str(QUALITY), str(target)),
    )


def _ffmpeg(*arguments: str) -> None:
    command = [str(find_ffmpeg().path), "-nostdin", "-v", "error", "-y", *arguments]
    subprocess.run(command, check=True)
