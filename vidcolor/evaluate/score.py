"""One row of the table: all figures of one way to color."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidcolor.evaluate.fidelity import decibels, squared_error, ssim
from vidcolor.evaluate.picture import Picture
from vidcolor.evaluate.warping import Motion, warping_error
from vidcolor.metrics.colorfulness import colorfulness
from vidcolor.metrics.consistency import Consistency


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of one row; None where one was not, or cannot be, measured."""

    psnr_rgb: float | None = None
    """dB, of the mean squared error of all frames."""
    psnr_ab: float | None = None
    """dB, the same of CIE Lab's a and b."""
    ssim: float | None = None
    lpips: float | None = None
    fid: float | None = None
    frechet: float | None = None
    """Frechet distance of the features of the encoder that `--features` names."""
    colorfulness: float | None = None
    colorfulness_gap: float | None = None
    """Less the original's; below 0 is too dull."""
    colorfulness_abs: float | None = None
    """The variant with absolute values."""
    cdc: float | None = None
    cdc_excess: float | None = None
    """Less the original's."""
    warping_error: float | None = None
    ab_change: float | None = None
    """Mean distance in Lab's ab from a frame to the next, along the motion: flicker alone, which
    the warping error hides in the noise of luma."""
    fps: float | None = None
    """Frames a second, from file to file."""


class Instant(NamedTuple):
    """What a plot shows of one frame."""

    time: float
    """Seconds."""
    chroma: float
    """Mean distance from gray, in units of Lab."""
    change: float
    """Mean distance in ab to the next frame, along the motion."""


@dataclass
class Score:
    """Gathers the figures of one row over the frames of one clip, or over photos."""

    lpips: Callable[[NDArray, NDArray], float] | None = None
    fps: float | None = None
    frames: int = field(default=0, init=False)
    curve: list[Instant] = field(default_factory=list, init=False)
    """Three numbers for each frame; the only data that grows with the film's length."""
    _sums: dict[str, float] = field(default_factory=dict, init=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False)
    _consistency: Consistency = field(default_factory=Consistency, init=False)
    _previous: tuple[float, Picture] | None = field(default=None, init=False)

    def add(self, ours: Picture, real: Picture) -> None:
        """The next frame, or photo, beside the original."""
        self.frames += 1
        self._note("colorfulness", colorfulness(ours.rgb))
        self._note("colorfulness_abs", colorfulness(ours.rgb, absolute=True))
        if ours is real:
            return
        self._note("error_rgb", squared_error(ours.rgb, real.rgb))
        self._note("error_ab", squared_error(ours.lab[..., 1:], real.lab[..., 1:]))
        self._note("ssim", ssim(ours.rgb, real.rgb))
        if self.lpips:
            self._note("lpips", self.lpips(ours.rgb, real.rgb))

    def follow(self, ours: Picture, time: float, motion: Motion | None) -> None:
        """The same frame as part of a film; motion: from the frame before to this one."""
        self._consistency.add(ours.rgb)
        if motion is not None and self._previous is not None:
            before, previous = self._previous
            self._note("warping_error", warping_error(previous.rgb, ours.rgb, motion))
            step = change(previous, ours, motion)
            self._note("ab_change", step)
            self.curve.append(Instant(before, chroma(previous), step or 0.0))
        self._previous = time, ours

    def figures(self) -> Figures:
        """What has been gathered so far."""
        error_rgb, error_ab = self._mean("error_rgb"), self._mean("error_ab")
        return Figures(
            psnr_rgb=None if error_rgb is None else decibels(error_rgb),
            psnr_ab=None if error_ab is None else decibels(error_ab),
            ssim=self._mean("ssim"),
            lpips=self._mean("lpips"),
            colorfulness=self._mean("colorfulness"),
            colorfulness_abs=self._mean("colorfulness_abs"),
            cdc=self._consistency.value,
            warping_error=self._mean("warping_error"),
            ab_change=self._mean("ab_change"),
            fps=self.fps,
        )

    def _note(self, name: str, value: float | None) -> None:
        if value is not None:
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def _mean(self, name: str) -> float | None:
        return self._sums[name] / self._counts[name] if name in self._sums else None


def chroma(picture: Picture) -> float:
    """Mean distance from gray, in units of Lab."""
    return float(np.hypot(picture.lab[..., 1], picture.lab[..., 2]).mean())


def change(first: Picture, second: Picture, motion: Motion) -> float | None:
    """Mean distance in ab of points that can be followed into the next frame; None without any."""
    if not motion.visible.any():
        return None
    back = motion.bring_back(second.lab[..., 1:].copy())
    step = (first.lab[..., 1:] - back)[motion.visible]
    return float(np.hypot(step[:, 0], step[:, 1]).mean())


def mean(rows: Iterable[Figures]) -> Figures:
    """Clips count alike, however long they are; what some lack is averaged over the others."""
    rows = list(rows)
    columns = {f.name: [getattr(row, f.name) for row in rows] for f in fields(Figures)}
    known = {name: [v for v in values if v is not None] for name, values in columns.items()}
    return Figures(**{name: sum(v) / len(v) for name, v in known.items() if v})
