"""Colors that are saved while a piece is made, for models so slow that a piece takes long."""

import json
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from conftest import run_ffmpeg
from test_resume import Enough, decoded, stop_after

from vidcolor.errors import MediaError
from vidcolor.film import colorize_film
from vidcolor.media.containers import EncodeSettings
from vidcolor.resume.checkpoint import (
    ColorRecorder,
    FrameColors,
    Pace,
    packed,
    unpacked,
)
from vidcolor.resume.store import PieceSettings, kept
from vidcolor.resume.work_folder import piece_folder
from vidcolor.settings import FilmSettings

FAST = EncodeSettings(preset="ultrafast")
OFTEN = PieceSettings(seconds=4.0, save_every=0.0)
"""After every batch."""
NEVER = PieceSettings(seconds=4.0)
SAVED = FilmSettings(encode=FAST, pieces=OFTEN)
UNSAVED = FilmSettings(encode=FAST, pieces=NEVER)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Twelve seconds with frames stored out of order, a cut in each piece, and a late start."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=12"),
        *("-vf", "negate=enable=mod(floor(t/3)\\,2)", "-c:v", "libx264", "-preset", "veryfast"),
        *("-g", "25", "-bf", "2", "-output_ts_offset", "1.5", path),
    )
    return path


def stopped(source, target, colorizer, frame, settings=SAVED):
    """Stop a run at a frame; the manifest of what is kept."""
    with pytest.raises(Enough):
        colorize_film(
            source,
            target,
            colorizer,
            settings,
            on_frame=stop_after(frame),
        )
    manifest = kept(target)
    assert manifest is not None
    return manifest


@pytest.mark.parametrize("frames", [[13], [20, 31, 38], [39, 41, 79], [119]])
def test_a_run_that_goes_on_within_a_piece_gives_the_same_film(film, colorizer, tmp_path, frames):
    whole, target = tmp_path / "whole.mp4", tmp_path / "stopped.mp4"
    colorize_film(film, whole, colorizer, UNSAVED)
    saved = 0
    for frame in frames:
        saved = stopped(film, target, colorizer, frame).frames
        assert frame - 12 < saved < frame, "no more is lost than two batches"
    notes = []
    report = colorize_film(film, target, colorizer, UNSAVED, on_note=notes.append)
    assert report.kept == saved
    assert notes == [f"continuing after {report.kept} frames of an earlier run"]
    assert report.frames == 120
    assert decoded(target) == decoded(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped.mp4", "whole.mp4"]


def test_a_film_that_cannot_be_entered_in_its_middle(colorizer, tmp_path):
    """What is left of it is one piece, which may be hours of work."""
    source, whole, target = (tmp_path / name for name in ("film.h264", "whole.mkv", "stopped.mkv"))
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=18"),
        *("-c:v", "libx264", "-preset", "veryfast", "-g", "20", "-bf", "2", source),
    )
    colorize_film(source, whole, colorizer, SAVED)
    # Only a run that goes on within a piece has the encoder seek.
    assert stopped(source, target, colorizer, 140).checkpoints
    manifest = stopped(source, target, colorizer, 175)
    assert not manifest.seekable
    assert manifest.frames > 160
    report = colorize_film(source, target, colorizer, SAVED)
    assert report.kept == manifest.frames
    assert decoded(target) == decoded(whole)


def test_saved_colors_that_were_damaged_are_made_again(film, colorizer, tmp_path):
    whole, target = tmp_path / "whole.mp4", tmp_path / "stopped.mp4"
    colorize_film(film, whole, colorizer, UNSAVED)
    frames = stopped(film, target, colorizer, 38).frames
    second = piece_folder(target) / "colors-00000-00001"
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    report = colorize_film(film, target, colorizer, UNSAVED)
    assert 0 < report.kept < frames
    assert decoded(target) == decoded(whole)


@pytest.mark.parametrize(
    "planted",
    [
        {"pts": np.array([0]), "junk": np.array([1])},
        {"shape": np.array([2, 24, 32]), "pts": np.array([0]), "lengths": np.array([3])}
        | {"codes": np.frombuffer(b"abc", np.uint8)},
        {"state_luma": np.full((1, 1, 8, 8), np.nan, np.float32)},
    ],
)
def test_saved_colors_that_hold_something_else_are_refused_in_one_line(
    film, colorizer, tmp_path, planted
):
    """As somebody may plant them, with a checksum that is right."""
    target = tmp_path / "stopped.mp4"
    stopped(film, target, colorizer, 20)
    folder = piece_folder(target)
    content = json.loads((folder / "manifest.json").read_text())
    saved = folder / content["checkpoints"][-1]["name"]
    with saved.open("wb") as file:
        np.savez(file, **planted)
    data = saved.read_bytes()
    content["checkpoints"][-1] |= {"size": len(data), "crc": zlib.crc32(data)}
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(MediaError, match=r"damaged .*; --fresh deletes it and starts over"):
        colorize_film(film, target, colorizer, SAVED)
    assert kept(target) is not None
    report = colorize_film(film, target, colorizer, replace(SAVED, fresh=True))
    assert report.frames == 120


def test_nothing_is_saved_within_a_piece_that_is_made_soon_enough(film, colorizer, tmp_path):
    target = tmp_path / "stopped.mp4"
    assert stopped(film, target, colorizer, 70, UNSAVED).checkpoints == []


@pytest.mark.parametrize(
    ("start", "burst", "seconds_per_frame", "wanted"),
    [
        (1.0, 30, 0.01, False),
        (1.0, 30, 0.05, False),
        (8.0, 64, 0.03, False),  # a GPU that has to warm up
        (2.0, 30, 0.2, True),
        (9.0, 12, 3.0, True),
    ],
)
def test_only_slow_runs_save_colors(monkeypatch, start, burst, seconds_per_frame, wanted):
    """A piece of 1440 frames, some of which arrive together; the clock is ours."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    pace = Pace()
    now += start
    recorder = ColorRecorder(120.0, 1440, pace)
    due = 0
    for pts in range(1440):
        recorder.add(FrameColors(pts, np.zeros((2, 4, 4), np.uint8)))
        now += seconds_per_frame if pts > burst else 0
        due += recorder.is_due
    assert bool(due) == wanted
    assert bool(recorder.pts) == wanted


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 3, 1), (2, 24, 32), (2, 31, 17)])
def test_colors_are_saved_without_loss(shape):
    chroma = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(unpacked(packed(chroma), shape), chroma)
    flipped = chroma[:, ::-1]
    assert np.array_equal(unpacked(packed(flipped), shape), flipped)


def test_codes_of_more_than_a_frame_do_not_fill_memory():
    chroma = np.zeros((2, 4096, 4096), np.uint8)
    code = packed(chroma)
    tracemalloc.start()
    with suppress(ValueError):
        unpacked(code, (2, 8, 8))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < chroma.nbytes / 4  # the codes themselves take an eighth
