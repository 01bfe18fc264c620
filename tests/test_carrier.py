"""A film that is decoded once: luma that comes through our process is the film's own to the bit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import SMALL, pictures

from vidcolor import pipeline
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.film import colorize_film
from vidcolor.inference.colorizer import Colorizer
from vidcolor.media.carrier import carries_luma
from vidcolor.media.containers import EncodeSettings, complete, merged_format
from vidcolor.media.merge import chroma_size
from vidcolor.media.probe import Film, probe
from vidcolor.media.read import read_luma
from vidcolor.media.write import write_piece
from vidcolor.pipeline import Work
from vidcolor.settings import FilmSettings

CLIPS = [
    "cfr.mp4",
    "vfr.mp4",
    "ten_bit.mkv",
    "twelve_bit_422.mkv",
    "odd.mkv",
    "yuv444.mkv",
    "gray_ten_bit.mkv",
    "full_range.mov",
    "late.ts",
    "rgb.mov",
    "anamorphic.mp4",
    "changes_size.ts",
    "packed.avi",
    "raw.h264",
    "one_frame.mp4",
]
FFV1 = EncodeSettings(codec="ffv1")
X264 = EncodeSettings(codec="libx264", preset="ultrafast")


def chroma_of(number: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(number).integers(16, 240, (2, size[1], size[0]), np.uint8)


def write(
    film: Film, path: Path, settings: EncodeSettings, size: tuple[int, int], *, luma: bool
) -> bytes:
    """The piece that is made with luma of ours, or by decoding the film once more."""
    full = merged_format(settings).depth if luma else None
    with read_luma(film, SMALL, guide=size, full=full) as frames:
        read = list(frames)
    with write_piece(film, path, size, settings, luma=luma) as writer:
        for number, frame in enumerate(read):
            writer.write(frame.pts, chroma_of(number, size), frame.full)
    return path.read_bytes()


def assert_same_either_way(film: Film, settings: EncodeSettings, size, folder: Path) -> None:
    again = write(film, folder / "again", settings, size, luma=False)
    once = write(film, folder / "once", settings, size, luma=True)
    assert once == again


@pytest.mark.parametrize("settings", [FFV1, X264], ids=["ffv1", "libx264"])
@pytest.mark.parametrize("name", CLIPS)
def test_a_piece_has_the_same_bytes_as_when_the_film_is_decoded_again(
    make_clip, tmp_path, name, settings
):
    film = probe(make_clip(name))
    settings = complete(film, settings)
    assert_same_either_way(film, settings, chroma_size(film, settings), tmp_path)


@pytest.mark.parametrize("deinterlace", [False, True])
def test_so_it_has_with_fields(make_clip, tmp_path, deinterlace):
    film = probe(make_clip("interlaced.mpg"), deinterlace=deinterlace)
    settings = complete(film, X264)
    assert_same_either_way(film, settings, chroma_size(film, settings), tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        EncodeSettings(codec="libx264", compare=True),
        EncodeSettings(codec="libx264", pix_fmt="yuv444p"),
        EncodeSettings(codec="libx264", pix_fmt="yuv420p10le"),
        EncodeSettings(codec="prores_ks"),
    ],
    ids=["compare", "444", "deeper", "prores"],
)
@pytest.mark.parametrize("name", ["odd.mkv", "twelve_bit_422.mkv"])
@pytest.mark.parametrize("size", [None, (16, 12), (200, 90)])
def test_so_it_has_with_other_formats_and_chroma_of_any_size(
    make_clip, tmp_path, settings, name, size
):
    film = probe(make_clip(name))
    settings = complete(film, settings)
    assert_same_either_way(film, settings, size or chroma_size(film, settings), tmp_path)


def test_so_it_has_when_the_film_is_turned(rotated_clip, tmp_path):
    film = probe(rotated_clip)
    settings = complete(film, X264)
    assert_same_either_way(film, settings, chroma_size(film, settings), tmp_path)


@pytest.mark.parametrize("name", ["ten_bit.mkv", "twelve_bit_422.mkv"])
@pytest.mark.parametrize("luma", [False, True])
def test_no_color_is_exactly_no_color_in_deep_films(make_clip, tmp_path, name, luma):
    film = probe(make_clip(name))
    settings = complete(film, FFV1)
    width, height = chroma_size(film, settings)
    gray = np.full((2, height, width), 128, np.uint8)
    full = film.bit_depth if luma else None
    with read_luma(film, SMALL, full=full) as frames:
        read = list(frames)
    with write_piece(film, tmp_path / "piece", (width, height), settings, luma=luma) as writer:
        for frame in read:
            writer.write(frame.pts, gray, frame.full)
    for picture in pictures(tmp_path / "piece"):
        for plane in picture.planes[1:]:
            assert np.all(plane == 128 << (film.bit_depth - 8))


def test_luma_of_another_size_is_refused(make_clip, tmp_path):
    film = probe(make_clip("cfr.mp4"))
    gray = np.full((2, 24, 32), 128, np.uint8)
    for luma in (None, np.zeros((24, 32), np.uint8)):
        with (
            pytest.raises(ValueError, match="of the film's size"),
            write_piece(film, tmp_path / "piece", (32, 24), X264, luma=True) as writer,
        ):
            writer.write(0, gray, luma)


@pytest.fixture
def work(colorizer: Colorizer) -> Callable[..., Work]:
    def make(film: Film, settings: EncodeSettings = X264) -> Work:
        smooth = SmoothSettings()
        return Work(
            film=film,
            colorizer=colorizer,
            encode=complete(film, settings),
            smooth=smooth,
            edges="guided",
        )

    return make


def test_where_memory_does_not_suffice_the_film_is_decoded_again(
    make_clip, work, colorizer, tmp_path, monkeypatch
):
    clip = make_clip("cfr.mp4")
    assert work(probe(clip)).full == 8
    once, again = tmp_path / "once.mov", tmp_path / "again.mov"
    colorize_film(clip, once, colorizer, FilmSettings(encode=FFV1))
    monkeypatch.setattr(pipeline, "memory_to_wait", lambda: 0)
    assert work(probe(clip)).full is None
    colorize_film(clip, again, colorizer, FilmSettings(encode=FFV1))
    for one, other in zip(pictures(once), pictures(again), strict=True):
        assert one.time == other.time
        for plane, same in zip(one.planes, other.planes, strict=True):
            assert np.array_equal(plane, same)


def test_what_only_the_films_frames_carry_reaches_the_encoder_from_there(make_clip, work):
    film = probe(make_clip("twelve_bit_422.mkv"))
    deep = EncodeSettings(codec="ffv1", pix_fmt="yuv420p14le")
    assert not carries_luma(film, complete(film, deep))
    assert work(film, deep).full is None
    assert work(replace(film, light=("mastering display",))).full is None
