"""Steadying colors, on made-up films whose true colors are known."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch

from vidcolor.chroma.temporal import filter as temporal_filter
from vidcolor.chroma.temporal.backend import Backend
from vidcolor.chroma.temporal.filter import FilterState, SmallFrame, TemporalFilter
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.errors import VidcolorError

HEIGHT, WIDTH = 96, 128
SQUARE = 32
RED, BLUE = (-0.1, 0.25), (0.2, -0.1)
"""Cb and Cr of the square and of the background."""

NORMAL = SmoothSettings()


class Frame(NamedTuple):
    """As SmallFrame, with chroma as an array."""

    pts: int
    luma: np.ndarray
    chroma: np.ndarray
    cut: bool


class Result(NamedTuple):
    """As FilteredFrame, with chroma as an array."""

    pts: int
    chroma: np.ndarray
    state: FilterState | None


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(height, width) uint8 with structure that optical flow can hold on to."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, np.empty(0), 40, 215, cv2.NORM_MINMAX).astype(np.uint8)


def moving_square(count: int, speed: int = 3, small: int = 2) -> list[Frame]:
    """A red square that crosses a blue background, in its true colors.

    small: by how much chroma is smaller than luma.
    """
    back, face = texture(1), texture(2, SQUARE, SQUARE)
    frames = []
    for number in range(count):
        luma = back.copy()
        chroma = np.empty((2, HEIGHT, WIDTH), np.float32)
        chroma[:] = np.reshape(BLUE, (2, 1, 1))
        left = speed * number
        right = min(WIDTH, left + SQUARE)
        luma[32 : 32 + SQUARE, left:right] = face[:, : right - left]
        chroma[:, 32 : 32 + SQUARE, left:right] = np.reshape(RED, (2, 1, 1))
        planes = cv2.resize(
            chroma.transpose(1, 2, 0), (WIDTH // small, HEIGHT // small), interpolation=3
        )
        frames.append(Frame(number, luma, planes.transpose(2, 0, 1).copy(), False))
    return frames


def still(count: int, seed: int = 1, color: tuple[float, float] = BLUE) -> list[Frame]:
    """One picture in one color, again and again."""
    luma, chroma = texture(seed), np.empty((2, HEIGHT // 2, WIDTH // 2), np.float32)
    chroma[:] = np.reshape(color, (2, 1, 1))
    return [Frame(number, luma, chroma, False) for number in range(count)]


def with_chroma(frame: Frame, chroma: np.ndarray) -> Frame:
    return frame._replace(chroma=chroma.astype(np.float32))


def flickering(frames: list[Frame], amount: float = 0.06) -> list[Frame]:
    """Every frame's patches in other colors than they should have."""
    random = np.random.default_rng(3)
    _, height, width = frames[0].chroma.shape
    flickered = []
    for frame in frames:
        patches = random.normal(0, amount, (6, 8, 2)).astype(np.float32)
        noise = cv2.resize(patches, (width, height)).transpose(2, 0, 1)
        flickered.append(with_chroma(frame, frame.chroma + noise))
    return flickered


Smoothed = Callable[..., list[Result]]
"""(frames, settings, state) -> results."""


@pytest.fixture
def smoothed(backend: Backend) -> Smoothed:
    def run(
        frames: list[Frame],
        settings: SmoothSettings = NORMAL,
        state: FilterState | None = None,
    ) -> list[Result]:
        small = [
            f._replace(chroma=torch.from_numpy(f.chroma)) for f in map(SmallFrame._make, frames)
        ]
        results = TemporalFilter(settings, state, backend).run(small)
        return [Result(f.pts, f.chroma.numpy(), f.state) for f in results]

    return run


def planes(frames: list[Frame] | list[Result]) -> np.ndarray:
    """(T, 2, h, w)"""
    return np.stack([frame.chroma for frame in frames])


def test_off_changes_nothing(smoothed: Smoothed):
    frames = flickering(moving_square(8))
    result = smoothed(frames, SmoothSettings(strength="off"))
    assert [frame.pts for frame in result] == list(range(8))
    assert np.array_equal(planes(result), planes(frames))


def test_an_unknown_strength_is_told_with_the_known_ones():
    with pytest.raises(VidcolorError, match="off, normal, strong"):
        SmoothSettings(strength="much")


@pytest.mark.parametrize("strength", ["normal", "strong"])
def test_flicker_goes(smoothed: Smoothed, strength: str):
    truth = moving_square(30)
    frames = flickering(truth)
    result = smoothed(frames, SmoothSettings(strength=strength))
    assert [frame.pts for frame in result] == list(range(30))

    error = [np.sqrt(((planes(some) - planes(truth)) ** 2).mean()) for some in (frames, result)]
    assert error[1] < 0.6 * error[0]
    change = [
        np.abs(np.diff(planes(some), axis=0)[..., :12, :]).mean() for some in (frames, result)
    ]
    assert change[1] < 0.25 * change[0]


def grainy(frames: list[Frame], amount: float = 15) -> list[Frame]:
    """With grain over all of luma."""
    random = np.random.default_rng(4)
    return [
        frame._replace(
            luma=(frame.luma + random.normal(0, amount, frame.luma.shape))
            .clip(0, 255)
            .astype(np.uint8)
        )
        for frame in frames
    ]


def test_flicker_goes_from_grainy_films_too(smoothed: Smoothed):
    truth = still(16)
    frames = grainy(flickering(truth))
    errors = [
        np.sqrt(((planes(some) - planes(truth)) ** 2).mean()) for some in (frames, smoothed(frames))
    ]
    assert errors[1] < 0.8 * errors[0]


def test_no_color_crosses_a_cut_of_a_grainy_film(smoothed: Smoothed):
    result = planes(smoothed(grainy(still(8, 1, RED) + still(8, 2, BLUE))))
    for number, frame in enumerate(result):
        color = RED if number < 8 else BLUE
        assert np.abs(frame - np.reshape(color, (2, 1, 1))).max() < 0.03


def test_what_moves_leaves_no_trail(smoothed: Smoothed):
    truth = moving_square(24, small=1)
    for ours, real in zip(smoothed(truth), truth, strict=True):
        wrong = np.abs(ours.chroma - real.chroma).max(0)
        assert (wrong > 0.1).mean() < 0.01


def test_no_color_crosses_a_cut(smoothed: Smoothed):
    reds, blues = still(8, 1, RED), still(8, 2, BLUE)
    blues[0] = blues[0]._replace(cut=True)
    for cut in (True, False):  # one that ffmpeg has seen, and one that only luma tells
        blues[0] = blues[0]._replace(cut=cut)
        result = planes(smoothed(flickering(reds + blues, 0.01)))
        for number, frame in enumerate(result):
            color = RED if number < 8 else BLUE
            assert np.abs(frame - np.reshape(color, (2, 1, 1))).max() < 0.03


def test_fast_motion_is_no_cut(smoothed: Smoothed):
    frames = moving_square(12)
    frames[6] = frames[6]._replace(cut=True)
    noisy = flickering(frames)
    jump = np.abs(np.diff(planes(smoothed(noisy)), axis=0)[..., :12, :]).mean((1, 2, 3))
    assert jump[5] < 2 * np.median(jump)


@pytest.mark.parametrize("bad", [0, 1, 9, 19])
def test_a_single_bad_frame_is_mended(smoothed: Smoothed, bad: int):
    frames = flickering(still(20), 0.01)
    frames[bad] = with_chroma(frames[bad], -frames[bad].chroma)
    result = planes(smoothed(frames))
    assert np.abs(result - np.reshape(BLUE, (2, 1, 1))).max() < 0.05


@pytest.mark.slow
def test_a_slow_wobble_of_color_is_reduced(smoothed: Smoothed):
    frames = [
        with_chroma(frame, frame.chroma + 0.03 * np.sin(2 * np.pi * number / 40))
        for number, frame in enumerate(still(120))
    ]
    ours = planes(smoothed(frames, SmoothSettings(strength="strong"))).mean((2, 3))
    noisy = planes(frames).mean((2, 3))
    assert np.ptp(ours[40:], axis=0).max() < 0.4 * np.ptp(noisy[40:], axis=0).max()


def test_a_color_that_stays_is_taken_on(smoothed: Smoothed):
    frames = still(16) + still(24, color=RED)
    result = planes(smoothed(frames))
    assert np.abs(result[-1] - np.reshape(RED, (2, 1, 1))).max() < 0.03


def test_colors_stay_as_strong_as_they_were(smoothed: Smoothed):
    frames = flickering(moving_square(30))
    before, after = planes(frames), planes(smoothed(frames))
    assert np.abs(after).max() <= 0.5
    assert np.hypot(*after.swapaxes(0, 1)).mean() == pytest.approx(
        np.hypot(*before.swapaxes(0, 1)).mean(), rel=0.03
    )


@pytest.mark.parametrize("strength", ["normal", "strong"])
@pytest.mark.slow
def test_a_run_goes_on_as_if_it_had_not_stopped(smoothed: Smoothed, strength: str, tmp_path: Path):
    settings = SmoothSettings(strength=strength)
    frames = flickering(moving_square(16))
    frames += [frame._replace(pts=frame.pts + 16) for frame in flickering(still(8, 7))]
    whole = smoothed(frames, settings)
    for done in (1, 9, 16, 23):
        state = whole[done - 1].state
        assert state is not None
        np.savez(tmp_path / "state.npz", allow_pickle=False, **state.arrays())
        with np.load(tmp_path / "state.npz") as kept:
            rest = smoothed(frames[done:], settings, FilterState.of(kept))
        assert np.array_equal(planes(rest), planes(whole[done:]))


@pytest.mark.slow
def test_how_many_are_seen_together_does_not_matter(smoothed: Smoothed, monkeypatch):
    frames = flickering(moving_square(10)) + flickering(still(3, 7))
    results = []
    for together in (1, 2, 5, 13):
        monkeypatch.setattr(temporal_filter, "BATCH", together)
        results.append(planes(smoothed(frames)))
    for result in results[1:]:
        assert np.array_equal(result, results[0])


def test_few_frames_are_held(backend: Backend):
    read = 0

    def frames():
        nonlocal read
        for frame in map(SmallFrame._make, moving_square(40)):
            read += 1
            yield frame._replace(chroma=torch.from_numpy(frame.chroma))

    for number, _ in enumerate(TemporalFilter(NORMAL, None, backend).run(frames()), 1):
        assert read <= number + NORMAL.lookahead + temporal_filter.BATCH


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        NORMAL.strength = "off"  # type: ignore[misc]


@pytest.mark.slow
def test_a_static_shot_does_not_pulse(smoothed: Smoothed):
    """A lawn whose color wanders by 12 code values within four seconds while its luma is still."""
    wander = 0.027 * np.sin(np.arange(100) * 2 * np.pi / 100)
    frames = [
        with_chroma(frame, frame.chroma + np.float32(offset))
        for frame, offset in zip(still(100), wander, strict=True)
    ]
    before, after = (planes(each).mean((1, 2, 3)) for each in (frames, smoothed(frames)))
    assert np.ptp(after) < 0.6 * np.ptp(before)
