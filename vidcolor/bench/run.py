"""All rows of a benchmark."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vidcolor import __version__
from vidcolor.bench.films import SIZES, make_film
from vidcolor.bench.generators import generator_rows, network
from vidcolor.bench.rows import NO_GPU, Row, spent
from vidcolor.bench.whole import end_to_end_rows, pipeline_rows, stage_rows
from vidcolor.inference.device import describe
from vidcolor.media.binary import find_ffmpeg
from vidcolor.models.network import Generator

FIRST_FRAME = """
import torch
from vidcolor import Colorizer
colorizer = Colorizer.load("lite")
width, height = colorizer.luma_size(16, 9)
colorizer.chroma(torch.zeros(1, 1, height, width, dtype=torch.uint8))
"""


def bench(
    sizes: Sequence[str],
    networks: Sequence[str],
    *,
    frames: int,
    few: int,
    rounds: int,
    factor: int | None = None,
    side: int | None = None,
) -> Iterator[Row]:
    """Measure everything, row by row.

    sizes: of `SIZES`. networks: of `NETWORKS`. frames: of the films for the pipeline alone; few:
    for the networks. rounds: how often each is run; the shortest counts.
    factor: render factor; None for each network's own. side: of the matrices.
    """
    yield from _start_up()
    devices = [torch.device("cpu")]
    if torch.cuda.is_available():
        devices.append(torch.device("cuda"))
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            film = Path(folder) / f"{size}.mp4"
            make_film(film, SIZES[size], frames)
            yield from pipeline_rows(film, frames, size, rounds)
            lite = network("lite").for_inference()
            assert isinstance(lite, Generator)
            yield from stage_rows(film, size, lite)
        short = Path(folder) / "short.mp4"
        make_film(short, SIZES[sizes[0]], few)
        for name in networks:
            for device in devices:
                yield from generator_rows(name, factor, device, min(few, 8), side)
            if len(devices) == 1:
                yield Row(section="generator alone", name=f"{name} on a GPU", note=NO_GPU)
            yield from end_to_end_rows(short, few, name, factor, rounds)
    yield from _memory()


def machine() -> dict[str, Any]:
    """What the rows were measured on."""
    ffmpeg = find_ffmpeg()
    return {
        "vidcolor": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ffmpeg": "{}.{}".format(*ffmpeg.version),
        "processor": describe(torch.device("cpu")),
        "gpu": describe(torch.device("cuda")) if torch.cuda.is_available() else None,
        "load": round(_load(), 1),
    }


def _load() -> float:
    """Processes that wanted to run in the last minute, where the system says."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _start_up() -> Iterator[Row]:
    for name, arguments in {
        "vidcolor --help": ["-m", "vidcolor", "--help"],
        "first frame of lite": ["-c", FIRST_FRAME],
    }.items():
        command = [sys.executable, *arguments]
        took = spent(partial(subprocess.run, command, check=True, capture_output=True))
        note = f"{took.wall:.2f} s, {took.total:.2f} s of processor time"
        yield Row(section="start-up", name=name, note=note)


def _memory() -> Iterator[Row]:
    if sys.platform == "win32":
        return
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    yield Row(section="peak memory", name="this process, all networks", note=f"{peak:.0f} MB")
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**20
        yield Row(section="peak memory", name="GPU", note=f"{peak:.0f} MB")
