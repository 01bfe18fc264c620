"""Full-size chroma: the guide that the reader gives, and what the writer makes of the result."""

import cv2
import numpy as np
import pytest
import torch
from films import FFV1, SMALL, pictures
from torch.nn import functional as F

from vidcolor.chroma.edges import EDGES
from vidcolor.film import colorize_film
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.containers import EncodeSettings, complete
from vidcolor.media.merge import chroma_size
from vidcolor.media.probe import Film, probe
from vidcolor.media.read import LumaFrame, read_luma
from vidcolor.media.write import write_piece
from vidcolor.models.lite import LiteShape, ResidualLite
from vidcolor.settings import FilmSettings

SHAPES = {
    "cfr.mp4": (32, 24),
    "odd.mkv": (33, 25),
    "yuv444.mkv": (65, 49),
    "twelve_bit_422.mkv": (32, 48),
    "gray.mkv": (32, 24),
    "full_range.mov": (32, 48),
    "ten_bit.mkv": (32, 24),
}


def read(film: Film, guide: tuple[int, int] | None = None, **stretch) -> list[LumaFrame]:
    with read_luma(film, SMALL, guide=guide, **stretch) as frames:
        return list(frames)


@pytest.mark.parametrize("name", SHAPES)
def test_guide_is_the_films_luma_at_the_size_of_its_chroma(make_clip, name):
    film = probe(make_clip(name))
    size = chroma_size(film, complete(film, FFV1))
    assert size == SHAPES[name]
    frames = read(film, size)
    assert len(frames) == 12
    for frame, picture in zip(frames, pictures(film.path), strict=True):
        luma = picture.planes[0].astype(np.float32) / (1 << (film.bit_depth - 8))
        if not film.full_range:
            luma = ((luma - 16) * (255 / 219)).clip(0, 255)
        want = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        assert frame.guide is not None and frame.guide.shape == size[::-1]
        assert np.abs(frame.guide - want).mean() < 2


@pytest.mark.parametrize("name", ["vfr.mp4", "changes_size.ts", "odd.mkv"])
@pytest.mark.parametrize("size", [(8, 6), (70, 9), (320, 240)])
def test_a_guide_changes_nothing_else(make_clip, name, size):
    """Be it smaller or larger than what the generator sees, or both."""
    film = probe(make_clip(name))
    with_guide, without = read(film, size), read(film)
    assert len(with_guide) == len(without) > 5
    for one, other in zip(with_guide, without, strict=True):
        assert (one.pts, one.cut_score) == (other.pts, other.cut_score)
        assert np.array_equal(one.pixels, other.pixels)
        assert other.guide is None


def test_guide_of_a_stretch(make_clip):
    film = probe(make_clip("long.mp4"))
    frames = read(film, (32, 24), start=20.0, end=21.0)
    assert len(frames) == 10
    want = read(film, (32, 24), end=21.0)[-10:]
    for one, other in zip(frames, want, strict=True):
        assert one.pts == other.pts
        assert one.guide is not None and other.guide is not None
        assert np.array_equal(one.guide, other.guide)


@pytest.mark.parametrize("name", SHAPES)
def test_chroma_of_full_size_is_encoded_as_it_is(make_clip, tmp_path, name):
    film = probe(make_clip(name))
    size = chroma_size(film, complete(film, FFV1))
    chroma = np.random.default_rng(1).integers(16, 240, (2, size[1], size[0]), np.uint8)
    stamps = [frame.pts for frame in read(film)]
    with write_piece(film, tmp_path / "piece", size, FFV1) as writer:
        for pts in stamps:
            writer.write(pts, chroma)
    written = pictures(writer.piece.path)
    assert len(written) == 12
    for picture in written:
        for plane, want in zip(picture.planes[1:], chroma, strict=True):
            assert np.array_equal(plane >> (film.bit_depth - 8), want)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (EncodeSettings(codec="libx264"), (33, 25)),
        (EncodeSettings(codec="libx264", compare=True), (33, 25)),
        (EncodeSettings(codec="libx264", pix_fmt="yuv444p"), (65, 49)),
        (EncodeSettings(codec="libx264", pix_fmt="yuv422p"), (33, 49)),
    ],
)
def test_chroma_size_of_what_is_encoded(make_clip, tmp_path, settings, size):
    """Odd sizes are padded where the encoder wants it; with --compare each half has its chroma."""
    film = probe(make_clip("odd.mkv"))
    assert chroma_size(film, complete(film, settings)) == size


class Warmer(Colorizer):
    """Gives bright places a warm color and dark ones a cold one, at a quarter of the size."""

    def chroma(self, luma: torch.Tensor, hints: torch.Tensor | None = None) -> torch.Tensor:
        warmth = 0.6 * (F.avg_pool2d(luma.float(), 4) / 255 - 0.5)
        return torch.cat([-warmth, warmth], dim=1)


def test_colors_of_a_film_end_at_outlines(clip, tmp_path):
    shape = LiteShape(widths=(8, 8, 8, 8), decoder=(8, 8, 8), bins=2)
    off = {}
    for edges in EDGES:
        settings = RenderSettings(render_factor=4)
        target = tmp_path / f"{edges}.mkv"
        colorize_film(
            clip,
            target,
            Warmer(ResidualLite(shape), settings, device="cpu"),
            FilmSettings(encode=FFV1, edges=edges),
        )
        errors = []
        for picture in pictures(target):
            luma, _, red = (plane.astype(np.float32) for plane in picture.planes)
            luma = cv2.resize((luma - 16) / 219, (32, 24), interpolation=cv2.INTER_AREA)
            errors.append(np.abs(0.6 * (luma - 0.5) - (red - 128) / 224).mean())
        off[edges] = np.mean(errors)
    assert off["guided"] < 0.7 * off["bilinear"]
