"""Single frames of a finished film, before and after, for films that browsers cannot play."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.limits import input_options
from vidcolor.serve.jobs import LiveJob
from vidcolor.serve.look import limited
from vidcolor.serve.pictures import WIDTH
from vidcolor.serve.service import Service
from vidcolor.serve.settings import LookLimits
from vidcolor.serve.uploads import Refusal

PATIENCE = 30.0
"""Seconds that one picture may take."""

BEFORE = 10.0
"""Seconds that are decoded before the frame."""

DISPLAYED = f"scale=w='max(16,round(min({WIDTH},iw*sar)))':h='max(16,round(ow/dar))',setsar=1"

_turns = asyncio.Semaphore(2)


async def picture_at(service: Service, job: LiveJob, side: str, time: float) -> bytes:
    """The frame of the source or of the result as a PNG.

    side: "before" or "after". time: seconds since the beginning of the result.
    Raises Refusal where there is none.
    """
    if job.state != "done" or job.kind != "film":
        raise Refusal(409, "single frames are shown of finished films alone; leave `at` out")
    if side == "before":
        upload = service.uploads.get(job.upload)
        path, found = upload.path, await service.look_at(upload)
        time += job.options.get("start") or 0.0
    else:
        path, found = job.path, await service.look(job.path)
    if found["error"]:
        raise Refusal(404, "the film can no longer be read")
    time = max(0.0, min(time, _last(found)))
    picture = await _ask(path, found["container"], time, service.settings.look)
    if not picture:
        raise Refusal(404, f"there is no frame at {time:g} s")
    return picture


def _last(found: dict[str, Any]) -> float:
    """The time at which there is a frame for certain, in seconds."""
    seconds, rate = found["seconds"], found["frame_rate"] or 25.0
    return float("inf") if seconds is None else seconds - 1.5 / rate


async def _ask(path: Path, container: str, time: float, limits: LookLimits) -> bytes:
    guards = [(f"-{name}", value) for name, value in input_options(container).items()]
    # ffmpeg may land behind the time that it seeks in a container without an index, so it decodes
    # up to the time from some seconds before.
    ahead = max(0.0, time - BEFORE)
    command = [str(find_ffmpeg().path), "-nostdin", "-v", "error", "-threads", "1"]
    command += ["-ss", f"{ahead:.6f}"] if ahead else []
    command += [*sum(guards, ()), "-i", f"file:{path.absolute()}", "-ss", f"{time - ahead:.6f}"]
    command += ["-map", "0:V:0", "-frames:v", "1", "-vf", DISPLAYED, "-pix_fmt", "rgb24"]
    command += ["-c:v", "png", "-f", "image2pipe", "pipe:1"]
    async with _turns:
        child = await asyncio.create_subprocess_exec(
            *limited(command, limits),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                return (await child.communicate())[0]
        except TimeoutError:
            return b""
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
