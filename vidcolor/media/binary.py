"""Which ffmpeg to run."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vidcolor.errors import MediaError

OLDEST = (5, 1)
"""The first ffmpeg with `-fps_mode`, without which timestamps cannot be kept."""

REMEDY = (
    "install ffmpeg 5.1 or newer, run `pip install imageio-ffmpeg`, "
    "or set VIDCOLOR_FFMPEG to an ffmpeg binary"
)


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg that is new enough."""

    path: Path
    version: tuple[int, int]
    """Major and minor."""
    origin: str
    """"VIDCOLOR_FFMPEG", "PATH" or "imageio-ffmpeg"."""


def find_ffmpeg() -> Ffmpeg:
    """The ffmpeg that every process of this package runs.

    $VIDCOLOR_FFMPEG is binding; an ffmpeg on the PATH is passed over when it is older than 5.1;
    otherwise the one in the imageio-ffmpeg wheel. Raises MediaError when none of them will do.
    """
    return _find(os.environ.get("VIDCOLOR_FFMPEG"), os.environ.get("PATH"))


@lru_cache
def _find(chosen: str | None, search_path: str | None) -> Ffmpeg:
    if chosen:
        return _chosen(chosen)
    on_path = shutil.which("ffmpeg", path=search_path)
    if on_path and (version := _version(on_path)) and version >= OLDEST:
        return Ffmpeg(Path(on_path), version, "PATH")
    return _packaged()


def _chosen(name: str) -> Ffmpeg:
    path = shutil.which(name)
    version = _version(path) if path else None
    if path is None or version is None:
        raise MediaError(f"VIDCOLOR_FFMPEG is {name}, which is no ffmpeg that runs; {REMEDY}")
    if version < OLDEST:
        found = ".".join(map(str, version))
        raise MediaError(f"VIDCOLOR_FFMPEG is {name}, ffmpeg {found}, which is too old; {REMEDY}")
    return Ffmpeg(Path(path), version, "VIDCOLOR_FFMPEG")


def _packaged() -> Ffmpeg:
    try:
        import imageio_ffmpeg

        path = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise MediaError(f"no ffmpeg found; {REMEDY}") from error
    version = _version(path)
    if version is None or version < OLDEST:
        raise MediaError(f"the ffmpeg of imageio-ffmpeg ({path}) does not run or is old; {REMEDY}")
    return Ffmpeg(Path(path), version, "imageio-ffmpeg")


def _version(path: str) -> tuple[int, int] | None:
    """What `ffmpeg -version` says, or None if it does not run or is something else."""
    try:
        said = subprocess.run(
            [path, "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    if release := re.match(r"ffmpeg version n?(\d+)\.(\d+)", said):
        return int(release[1]), int(release[2])
    # A build from git has no release number; libavutil 57.28 came with 5.1, 58 with 6.0, and so on.
    if library := re.search(r"^libavutil +(\d+)\. *(\d+)", said, re.MULTILINE):
        major, minor = int(library[1]), int(library[2])
        return (major - 52, 1) if (major, minor) >= (57, 28) else (major - 52, 0)
    return None
