"""The built-in model as it is shipped: small enough, and open about where it comes from."""

import tomllib

import pytest
import torch
from safetensors import safe_open
from torch.utils.flop_counter import FlopCounterMode

from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

PATH = carried_folder() / LITE.file


@pytest.fixture(scope="module")
def lite():
    return load_generator(PATH)


def test_it_is_small(lite):
    assert PATH.stat().st_size <= 16e6
    assert sum(parameter.numel() for parameter in lite.parameters()) <= 8e6
    with FlopCounterMode(display=False) as counter:
        lite(torch.zeros(1, 1, 256, 256))
    assert counter.get_total_flops() <= 5e9


def test_it_says_what_it_is_and_what_it_saw():
    with safe_open(PATH, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["architecture"] == "lite"
    assert tomllib.loads(metadata["recipe"])["pretrain"]
    assert {"data", "steps", "licence"} <= metadata.keys()


@pytest.mark.parametrize("size", [(32, 32), (100, 60), (256, 144)])
def test_chroma_has_a_quarter_of_the_size_and_is_finite(lite, size):
    width, height = size
    chroma = lite(torch.rand(1, 1, height, width))
    assert chroma.shape == (1, 2, height // 4, width // 4)
    assert torch.isfinite(chroma).all()


def test_a_bright_smooth_upper_half_becomes_a_blue_sky(lite):
    """Sky over grain: the least that anyone expects of a colorizer."""
    torch.manual_seed(0)
    sky = torch.linspace(0.55, 0.8, 72)[:, None].expand(72, 256)
    meadow = 0.35 + 0.12 * torch.randn(72, 256)
    chroma = lite(torch.cat([sky, meadow])[None, None].clamp(0, 1))
    blue, red = chroma[0, :, :14].mean((1, 2))
    assert blue > 0.02 > red


@pytest.mark.parametrize("asked", [(0.2, -0.1), (-0.15, 0.2), (-0.1, -0.12)])
def test_it_follows_hints_where_they_are(lite, asked):
    torch.manual_seed(0)
    luma = (0.5 + 0.1 * torch.randn(1, 1, 96, 96)).clamp(0, 1)
    hints = torch.zeros(1, 3, 96, 96)
    hints[0, :, 40:56, 40:56] = torch.tensor([*asked, 1.0])[:, None, None]
    plain, hinted = (
        lite.chroma(luma, given)[0, :, 10:14, 10:14].mean((1, 2)) for given in (None, hints)
    )
    wanted = torch.tensor(asked)
    assert (hinted - wanted).norm() < 0.08 < (plain - wanted).norm()
