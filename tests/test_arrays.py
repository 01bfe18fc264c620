"""Pictures and frames as arrays."""

import threading

import numpy as np
import pytest
import torch
from films import FFV1, pictures
from numpy.typing import NDArray

from vidcolor import (
    Colorizer,
    FilmSettings,
    RenderSettings,
    SmoothSettings,
    VidcolorError,
    colorize_array,
    colorize_film,
    colorize_frames,
)
from vidcolor.arrays import CutScores
from vidcolor.chroma.edges import EDGES
from vidcolor.media.probe import probe
from vidcolor.media.read import read_luma
from vidcolor.models.lite import LiteShape, ResidualLite


@pytest.fixture(scope="module")
def lite() -> Colorizer:
    """A generator that knows two strong colors."""
    torch.manual_seed(1)
    network = ResidualLite(LiteShape(widths=(8, 8, 8, 8), decoder=(8, 8, 8), bins=2))
    network.palette.copy_(torch.tensor([[0.2, -0.1], [-0.15, 0.2]]))
    return Colorizer(network, RenderSettings(render_factor=4, precision="fp32"), device="cpu")


def gray(seed: int = 0, height: int = 40, width: int = 60) -> NDArray:
    """Soft gray waves, (height, width) in [0, 1]."""
    y, x = np.mgrid[:height, :width]
    return 0.5 + 0.2 * np.sin(x / 9 + seed) + 0.2 * np.cos(y / 7)


def luma(rgb: NDArray) -> NDArray:
    return rgb.astype(np.float64) @ [0.299, 0.587, 0.114]


def as_type(values: NDArray, dtype: str) -> NDArray:
    if dtype.startswith("float"):
        return values.astype(dtype)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64", ">u2"])
@pytest.mark.parametrize("shape", ["HW", "HW1", "HWC", "NHW", "NHWC"])
def test_every_kind_of_array_keeps_its_luma_and_type(shape, dtype, lite):
    array = as_type(np.stack([gray(0), gray(1)]) if "N" in shape else gray(), dtype)
    want = array
    if shape.endswith("C"):
        array = np.repeat(array[..., None], 3, -1)
    elif shape.endswith("1"):
        array = array[..., None]
    before = array.copy()
    colored = colorize_array(array, lite)
    assert colored.shape == (*want.shape, 3)
    assert colored.dtype == np.dtype(dtype).newbyteorder("=")
    white = 1 if colored.dtype.kind == "f" else np.iinfo(colored.dtype).max
    assert np.abs(luma(colored) - want).max() <= white / 200
    assert np.ptp(colored.astype(float), axis=-1).mean() > 0.05 * white
    assert np.array_equal(array, before)


def test_a_batch_gives_what_its_pictures_give(lite):
    batch = as_type(np.stack([gray(seed) for seed in range(5)]), "uint8")
    for edges in EDGES:
        together = colorize_array(batch, lite, edges=edges)
        for picture, want in zip(batch, together, strict=True):
            apart = colorize_array(picture, lite, edges=edges)
            assert np.abs(apart.astype(int) - want).max() <= 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5, np.uint8), "is not a picture"),
        (np.zeros((4, 5, 4), np.uint8), "without alpha"),
        (np.zeros((0, 5), np.uint8), "is not a picture"),
        (np.zeros((4, 5), bool), "type bool"),
        (np.zeros((4, 5), np.int64), "give uint8, uint16 or float"),
        (np.full((4, 5), 255.0), "range from 0 to 1"),
        (np.full((4, 5), np.nan), "range from 0 to 1"),
    ],
)
def test_what_is_no_picture(array, words, lite):
    with pytest.raises(VidcolorError, match=words) as error:
        colorize_array(array, lite)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("strength", ["off", "normal"])
def test_frames_get_the_colors_that_a_film_gets(strength, make_clip, lite, tmp_path):
    film = probe(make_clip("yuv444.mkv"))
    smooth = SmoothSettings(strength=strength)
    colorize_film(film.path, tmp_path / "out.mkv", lite, FilmSettings(encode=FFV1, smooth=smooth))
    with read_luma(film, (film.width, film.height)) as luma_frames:
        frames = [frame.pixels for frame in luma_frames]
    counted = []
    got = list(colorize_frames(frames, lite, smooth, output="chroma", on_frame=counted.append))
    assert counted == list(range(1, 13))
    for chroma, picture in zip(got, pictures(tmp_path / "out.mkv"), strict=True):
        assert chroma.shape == (2, film.height, film.width)
        assert chroma.dtype == np.float32
        codes = 128 + 224 * chroma
        assert np.abs(codes - np.stack(picture.planes[1:])).mean() < 1
        assert np.abs(codes - 128).max() > 10


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_frames_keep_their_order_type_and_luma(dtype, lite):
    frames = [as_type(gray(seed), dtype) for seed in range(9)]
    rgb = [np.repeat(frame[..., None], 3, -1) for frame in frames]
    for given in (frames, rgb):
        got = list(colorize_frames(iter(given), lite))
        assert len(got) == 9
        for colored, frame in zip(got, frames, strict=True):
            assert colored.dtype == frame.dtype
            white = 1 if dtype == "float32" else np.iinfo(dtype).max
            assert np.abs(luma(colored) - frame).max() <= white / 200


def test_leaving_early_ends_all_threads(lite):
    threads = threading.active_count()
    frames = colorize_frames((as_type(gray(seed), "uint8") for seed in range(10_000)), lite)
    next(frames)
    frames.close()
    assert threading.active_count() == threads


def test_an_error_of_the_decoder_comes_through(lite):
    def broken():
        yield as_type(gray(), "uint8")
        raise OSError("the tape tore")

    with pytest.raises(OSError, match="the tape tore"):
        list(colorize_frames(broken(), lite))


def test_frames_of_another_size(lite):
    frames = [as_type(gray(), "uint8"), as_type(gray(height=50), "uint8")]
    with pytest.raises(VidcolorError, match="frame 1 is of another size"):
        list(colorize_frames(frames, lite))
    with pytest.raises(VidcolorError, match="one at a time"):
        list(colorize_frames([np.stack([frames[0], frames[0]])], lite))


def test_cut_scores_are_those_of_ffmpeg(make_clip):
    film = probe(make_clip("full_range.mov"))
    with read_luma(film, (64, 48)) as frames:
        read = list(frames)
    scores = CutScores()
    for frame in read:
        assert scores.next(frame.pixels) == pytest.approx(frame.cut_score, abs=0.02)
