"""What a benchmark found: rows of ratios, each with what it is over."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

NO_GPU = "not run: no CUDA device"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement, in frames a second, and what it is over."""

    section: str
    name: str
    fps: float | None = None
    """Frames a second of wall time; None where it was not run or is no rate."""
    over: str = ""
    """What the ratio is over."""
    ratio: float | None = None
    work: float | None = None
    """Processor time, over that of what the ratio is over; a busy machine changes it least."""
    ours: float | None = None
    """Processor time of this process, in milliseconds a frame."""
    ffmpeg: float | None = None
    """Processor time of ffmpeg, in milliseconds a frame."""
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


class Spent(NamedTuple):
    """Time that something took."""

    wall: float
    ours: float
    """Processor time of this process, in seconds."""
    ffmpeg: float
    """Processor time of the processes that it started and waited for."""

    @property
    def total(self) -> float:
        """Processor time of all."""
        return self.ours + self.ffmpeg


def spent(work: Callable[[], object]) -> Spent:
    """Run `work` once and measure it."""
    before, begun = os.times(), time.perf_counter()
    work()
    wall, after = time.perf_counter() - begun, os.times()
    return Spent(
        wall,
        after.user + after.system - before.user - before.system,
        after.children_user + after.children_system - before.children_user - before.children_system,
    )


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Spent]:
    """The shortest of several runs of each, taken in turns: a busy moment spoils no row alone."""
    best: dict[str, Spent] = {}
    for _ in range(rounds):
        for name, work in works.items():
            once = spent(work)
            if name not in best or once.wall < best[name].wall:
                best[name] = once
    return best
