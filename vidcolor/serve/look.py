"""A guarded look at an uploaded file: in a child process with limits, which prints JSON and ends.

The child opens the file with the very code of the command line. Whatever the file does to it, the
server lives on, and the child is gone after some seconds.
"""

import asyncio
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcolor.serve.settings import LookLimits

LARGEST_ANSWER = 2**20
TOGETHER = 4
"""Children at once."""


class Looker:
    """Looks at files, at TOGETHER of them at once."""

    def __init__(self, limits: LookLimits):
        self.limits = limits
        self._turns = asyncio.Semaphore(TOGETHER)

    async def look(
        self, path: Path, options: dict[str, Any] | None = None, target: Path | None = None
    ) -> dict[str, Any]:
        """What a file is.

        options, target: of a job that is to color it; what speaks against that is the error, too.
        -> {"kind": "film" or "still", "width": ..., "color": ..., "error": None or one line}
        """
        limits = self.limits
        task = {
            "path": str(path),
            "limits": asdict(limits),
            "options": options,
            "target": None if target is None else str(target),
        }
        async with self._turns:
            answer = await _ask(task, limits)
        found = {"kind": None, **dict.fromkeys(_FIELDS), "error": None}
        if answer is not None:
            return {**found, **answer}
        found["error"] = (
            f"{path} could not be read within {limits.seconds:g} s and "
            f"{limits.memory / 2**30:g} GiB; it is damaged, or made to do harm"
        )
        return found


_FIELDS = (
    *("width", "height", "seconds", "frames", "frame_rate", "codec", "container", "color"),
    *("chroma", "spread"),
)


async def _ask(task: dict[str, Any], limits: LookLimits) -> dict[str, Any] | None:
    environment = {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        **dict.fromkeys(_THREADS, "1"),
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vidcolor.serve.look"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
        limit=LARGEST_ANSWER,
    )
    try:
        async with asyncio.timeout(limits.seconds):
            said, _ = await child.communicate(json.dumps(task).encode())
        return json.loads(said) if child.returncode == 0 else None
    except (TimeoutError, ValueError):
        return None
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


_KEPT = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def main() -> None:
    """The child: reads one task from stdin, prints one answer."""
    task = json.load(sys.stdin)
    limits = LookLimits(**task["limits"])
    limit(limits)
    from vidcolor.errors import VidcolorError

    path = Path(task["path"])
    try:
        found = _find(path, limits)
        if task["options"] is not None:
            _check(path, Path(task["target"]), task["options"])
    except (VidcolorError, OSError) as error:
        found = {"error": str(error)}
    except MemoryError:
        sys.exit(1)
    json.dump(found, sys.stdout)


def limited(command: list[str], limits: LookLimits) -> list[str]:
    """A command that runs another one under the limits of a look."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:2]\n"
        "import json, os\n"
        "from vidcolor.serve.look import limit\n"
        "from vidcolor.serve.settings import LookLimits\n"
        "limit(LookLimits(**json.loads(sys.argv[2])))\n"
        "os.execv(sys.argv[3], sys.argv[3:])"
    )
    root = str(Path(__file__).parents[2])
    return [sys.executable, "-c", code, root, json.dumps(asdict(limits)), *command]


def limit(limits: LookLimits) -> None:
    """Bind this process, and what it runs, to its limits, before it opens anything."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor, limits.processor + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


def _find(path: Path, limits: LookLimits) -> dict[str, Any]:
    from vidcolor.batch import kind_of

    return _still(path, limits) if kind_of(path) == "still" else _film(path, limits)


def _film(path: Path, limits: LookLimits) -> dict[str, Any]:
    from vidcolor.errors import MediaError
    from vidcolor.media.probe import probe
    from vidcolor.media.source_color import film_color

    film = probe(path)
    if film.width * film.height > limits.film_pixels:
        raise MediaError(f"{path} has {film.width}x{film.height} pixels; scale it down first")
    _check_proportion(path, film.width * film.sample_aspect, film.height, limits)
    if len(film.streams) > limits.streams:
        raise MediaError(f"{path} has {len(film.streams)} streams; remux it with fewer first")
    if (film.duration or 0) > limits.film_seconds:
        raise MediaError(f"{path} lasts {film.duration:.0f} s; cut it into shorter films first")
    color = film_color(film)
    return {
        "kind": "film",
        "width": film.width,
        "height": film.height,
        "seconds": film.duration,
        "frames": film.frame_count,
        "frame_rate": float(film.frame_rate) if film.frame_rate else None,
        "codec": film.codec,
        "container": film.container,
        "color": color.kind,
        "chroma": round(color.chroma, 2),
        "spread": round(color.spread, 2),
    }


def _still(path: Path, limits: LookLimits) -> dict[str, Any]:
    from PIL import Image

    from vidcolor.media.source_color import picture_color
    from vidcolor.media.still.picture import read_picture

    # Pillow refuses twice as many pixels.
    Image.MAX_IMAGE_PIXELS = limits.still_pixels // 2
    rgb = read_picture(path).rgb
    _check_proportion(path, rgb.shape[1], rgb.shape[0], limits)
    color = picture_color(rgb)
    return {
        "kind": "still",
        "width": rgb.shape[1],
        "height": rgb.shape[0],
        "color": color.kind,
        "chroma": round(color.chroma, 2),
        "spread": round(color.spread, 2),
    }


def _check_proportion(path: Path, width: Fraction | int, height: int, limits: LookLimits) -> None:
    """Small pictures have a fixed width: those of a very narrow one would fill all memory."""
    from vidcolor.errors import MediaError

    if max(width / height, height / width) > limits.proportion:
        raise MediaError(
            f"{path} would be displayed {limits.proportion:g} times longer on one side than on the "
            "other, or more; correct its sample aspect ratio, or crop it"
        )


def _check(source: Path, target: Path, options: dict[str, Any]) -> None:
    """Raises VidcolorError where the options do not fit the source."""
    from vidcolor.batch import Job, check_suffix, kind_of
    from vidcolor.choices import check_encoding, film_settings

    job = Job(source, target, kind_of(source))
    check_suffix(job)
    check_encoding(job, film_settings(options).encode)


if __name__ == "__main__":
    main()
