"""A film from path to path through a real generator."""

import os
import threading

import cv2
import numpy as np
import pytest
import tiny
import torch
from conftest import run_ffmpeg
from films import FFV1, pictures
from PIL import Image

from vidcolor import pipeline
from vidcolor.errors import DeviceError, MediaError
from vidcolor.film import colorize_film
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.containers import HARDWARE, EncodeSettings
from vidcolor.settings import FilmSettings
from vidcolor.still import colorize_image
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder


@pytest.mark.parametrize(
    "name", ["cfr.mp4", "vfr.mp4", "ten_bit.mkv", "odd.mkv", "gray.mkv", "late.ts"]
)
def test_luma_frames_and_timestamps_are_the_sources_own(make_clip, colorizer, tmp_path, name):
    source, target = make_clip(name), tmp_path / "film.mov"
    seen = []
    report = colorize_film(
        source,
        target,
        colorizer,
        FilmSettings(encode=FFV1),
        on_frame=lambda done, total: seen.append(done),
    )
    before, after = pictures(source), pictures(target)
    assert [picture.time for picture in after] == [picture.time for picture in before]
    assert all(
        np.array_equal(new.planes[0], old.planes[0]) for old, new in zip(before, after, strict=True)
    )
    assert report.frames == len(before)
    assert seen == list(range(1, len(before) + 1))


def test_the_film_is_in_color(clip, colorizer, tmp_path):
    target = tmp_path / "film.mp4"
    colorize_film(clip, target, colorizer)
    for picture in pictures(target):
        assert max(np.abs(plane.astype(int) - 128).max() for plane in picture.planes[1:]) > 8


def test_saturation_zero_gives_neutral_chroma(clip, tmp_path):
    generator = load_generator(carried_folder() / LITE.file)
    gray = Colorizer(generator, RenderSettings(render_factor=4, saturation=0.0), device="cpu")
    colorize_film(clip, tmp_path / "film.mov", gray, FilmSettings(encode=FFV1))
    for picture in pictures(tmp_path / "film.mov"):
        assert all(np.all(plane == 128) for plane in picture.planes[1:])


def test_the_result_does_not_depend_on_the_batch_size(clip, colorizer, tmp_path):
    single = Colorizer(
        load_generator(carried_folder() / LITE.file),
        RenderSettings(render_factor=4, batch_size=1),
        device="cpu",
    )
    colorize_film(clip, tmp_path / "five.mov", colorizer, FilmSettings(encode=FFV1))
    colorize_film(clip, tmp_path / "one.mov", single, FilmSettings(encode=FFV1))
    five, one = pictures(tmp_path / "five.mov"), pictures(tmp_path / "one.mov")
    for old, new in zip(five, one, strict=True):
        for plane, other in zip(old.planes, new.planes, strict=True):
            assert np.abs(plane.astype(int) - other).max() <= 1


@pytest.mark.parametrize("makes_rgb", [True, False])
def test_a_film_has_the_colors_of_a_still(tmp_path, make_clip, makes_rgb):
    """ffmpeg resizes for films, Pillow for stills; the eye must not tell them apart."""
    path = carried_folder() / LITE.file
    if makes_rgb:
        path = tiny.save(tmp_path / "wide.pth", tiny.tensors("wide"))
    generator = load_generator(path)
    colorizer = Colorizer(
        generator, RenderSettings(render_factor=6, precision="fp32"), device="cpu"
    )
    frame = scene(120, 160)
    Image.fromarray(frame).save(tmp_path / "still.png")
    colorize_image(tmp_path / "still.png", tmp_path / "still.color.png", colorizer)
    still = np.asarray(Image.open(tmp_path / "still.color.png").convert("RGB")).astype(int)

    film, colored = tmp_path / "film.mkv", tmp_path / "film.color.mkv"
    run_ffmpeg(
        *("-i", tmp_path / "still.png", "-vf", "scale=out_color_matrix=bt601:out_range=tv"),
        *("-pix_fmt", "yuv444p", "-c:v", "ffv1", film),
    )
    colorize_film(
        film,
        colored,
        colorizer,
        FilmSettings(encode=EncodeSettings(codec="ffv1", pix_fmt="yuv444p")),
    )
    luma, blue, red = (plane.astype(np.uint8) for plane in pictures(colored)[0].planes)
    rgb = to_rgb(luma, blue, red)
    assert np.abs(still - frame.astype(int)).mean() > 2, "the still has no colors to compare"
    assert np.abs(rgb - still).mean() <= 2


def test_an_error_of_the_generator_leaves_nothing_behind(clip, colorizer, tmp_path, monkeypatch):
    def broken(luma):
        raise RuntimeError("the device fell off")

    monkeypatch.setattr(colorizer, "chroma", broken)
    threads = threading.active_count()
    with pytest.raises(RuntimeError, match="fell off"):
        colorize_film(clip, tmp_path / "film.mp4", colorizer)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("step", "remedy"), [("enlarged_codes", "--edges bilinear"), ("TemporalFilter", "--smooth off")]
)
def test_out_of_memory_after_coloring_says_what_to_do(
    clip, colorizer, tmp_path, monkeypatch, step, remedy
):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(pipeline, step, full)
    with pytest.raises(DeviceError, match=remedy):
        colorize_film(clip, tmp_path / "film.mp4", colorizer)


def test_without_a_hardware_encoder_the_default_is_taken_and_said(
    clip, colorizer, tmp_path, monkeypatch
):
    monkeypatch.setitem(HARDWARE, 8, ("no_such_encoder",))
    notes = []
    settings = FilmSettings(encode=EncodeSettings(codec="auto-hw"))
    colorize_film(clip, tmp_path / "film.mp4", colorizer, settings, on_note=notes.append)
    assert notes == [
        "encoding with libx264, since no hardware encoder works here with this film and these "
        "options"
    ]


def test_an_old_result_stays_when_a_run_fails(clip, colorizer, tmp_path, monkeypatch):
    target = tmp_path / "film.mp4"
    target.write_bytes(b"last night's work")
    monkeypatch.setattr(colorizer, "chroma", lambda luma: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        colorize_film(clip, target, colorizer)
    assert target.read_bytes() == b"last night's work"


def test_a_stretch(make_clip, colorizer, tmp_path):
    totals = []
    report = colorize_film(
        make_clip("long.mp4"),
        tmp_path / "film.mkv",
        colorizer,
        FilmSettings(start=2.0, end=4.0),
        on_frame=lambda done, total: totals.append(total),
    )
    assert report.frames == len(pictures(tmp_path / "film.mkv")) == 20
    assert set(totals) == {20}


def test_a_stretch_beyond_the_end(clip, colorizer, tmp_path):
    with pytest.raises(MediaError, match="no frame"):
        colorize_film(clip, tmp_path / "film.mp4", colorizer, FilmSettings(start=100.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(clip, colorizer, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match="--output"):
        colorize_film(clip, tmp_path / "film.mp4", colorizer)


def scene(height, width):
    """(height, width, 3) uint8 gray: soft blobs, as a photo has them."""
    random = np.random.default_rng(3)
    small = random.integers(0, 255, (6, 8), dtype=np.uint8)
    gray = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.repeat(gray[..., None], 3, 2)


def to_rgb(luma, blue, red):
    """Limited-range BT.601 code values, (h, w) each -> (h, w, 3) RGB in 0 .. 255."""
    gray = (luma.astype(float) - 16) * 255 / 219
    blue, red = ((plane.astype(float) - 128) * 255 / 224 for plane in (blue, red))
    green = gray - 0.344136 * blue - 0.714136 * red
    return np.stack([gray + 1.402 * red, green, gray + 1.772 * blue], -1).clip(0, 255)


def test_a_program_can_show_the_frames_as_they_are_made(clip, colorizer, tmp_path):
    seen = []
    colorize_film(clip, tmp_path / "out.mkv", colorizer, on_colors=seen.append)
    assert [frame.luma.pts for frame in seen] == sorted(frame.luma.pts for frame in seen)
    assert len(seen) == 12
    assert all(frame.chroma.shape == (2, 24, 32) for frame in seen)
