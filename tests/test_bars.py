"""Black borders stay neutral."""

import numpy as np
import torch
from conftest import run_ffmpeg

from vidcolor.chroma.bars import find_bars, neutral_bars
from vidcolor.film import colorize_film
from vidcolor.media.probe import probe
from vidcolor.media.rgb import read_rgb


def picture(height=40, width=60) -> torch.Tensor:
    """A bright textured picture, (1, 1, height, width)."""
    random = torch.Generator().manual_seed(0)
    return torch.randint(60, 200, (1, 1, height, width), generator=random, dtype=torch.uint8)


def test_a_film_with_pillarbox_bars_keeps_them_neutral(colorizer, tmp_path):
    source, target = tmp_path / "film.mkv", tmp_path / "result.mkv"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=96x96:rate=10:duration=0.5"),
        *("-vf", "hue=s=0,pad=160:96:32:0", "-c:v", "ffv1", source),
    )
    colorize_film(source, target, colorizer)
    rgb = np.stack([frame.rgb for frame in read_rgb(probe(target), (160, 96))]).astype(int)
    spread = rgb.max(3) - rgb.min(3)
    assert spread[:, :, 32:128].mean() > 4, "the picture itself has color"
    assert spread[:, :, :28].max() <= 2 and spread[:, :, 132:].max() <= 2


def test_bars_on_all_sides_are_found_with_dust_on_them():
    luma = picture()
    luma[..., :6, :] = luma[..., -4:, :] = luma[..., :9] = luma[..., -7:] = 16
    luma[0, 0, 3, 30] = 255
    bars = find_bars(luma)[0, 0]
    assert bars[:6].all() and bars[-4:].all() and bars[:, :9].all() and bars[:, -7:].all()
    assert not bars[6:-4, 9:-7].any()


def test_dark_places_inside_a_picture_keep_their_color():
    luma = picture()
    luma[..., 10:30, 20:40] = 0
    luma[..., :20, :5] = 0
    chroma = torch.full((1, 2, 10, 15), 0.1)
    assert torch.equal(neutral_bars(chroma, luma), chroma)
