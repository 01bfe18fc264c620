"""Hints that `lite` learns from, and a training that sees them."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from vidcolor.cli import vidcolor as command
from vidcolor.nogan import hints, recipe
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.lite_trainer import LiteSettings, LiteTrainer
from vidcolor.nogan.palette import Palette
from vidcolor.nogan.recipe import read_recipe
from vidcolor.weights.checkpoint import load_generator

RECIPE = """
cycles = 0
score_photos = 3
checkpoint_every = 2

[generator]
architecture = "lite"
shape = "mobilenet-v1"
encoder = "{encoder}"
skips = [8, 8, 8]
decoder = [8, 8, 8]
context = 8
bins = 16
ema = 0.5

[[pretrain]]
steps = {steps}
size = 64
batch = 4
rates = [1e-4, 1e-3]
hints = 0.5
score_every = 2

[[pretrain]]
steps = 2
size = 64
batch = 4
rates = [1e-4, 1e-3]
decay = 1.0
rebalance = 0.1
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 72)).save(folder / f"{number}.png")
    return folder


def train(folder: Path, photos: Path, *more: str, steps: int = 3, encoder: str = "random"):
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(steps=steps, encoder=encoder))
    words = ["train", str(recipe), "--data", str(photos), "--out", str(folder / "run")]
    return CliRunner().invoke(command, [*words, "--device", "cpu", "--precision", "fp32", *more])


@pytest.mark.parametrize("kind", [hints.points, hints.strokes, hints.regions])
def test_hints_are_the_colors_of_the_photo_where_the_mask_is(kind):
    random = torch.Generator().manual_seed(1)
    flat = torch.tensor([0.2, -0.1])[:, None, None].expand(2, 32, 32)
    found = kind(flat, torch.full((1, 32, 32), 0.5), random)
    mask = found[2].bool()
    assert found.shape == (3, 32, 32) and mask.any() and not mask.all()
    assert torch.allclose(found[:2][:, mask], flat[:, mask])
    assert not found[:2][:, ~mask].any()


def test_warped_hints_are_near_the_photo_and_have_holes():
    random = torch.Generator().manual_seed(1)
    wave = torch.linspace(0, 3, 32).sin().mul(0.3).expand(2, 32, 32)
    found = [hints.warped(wave, torch.zeros(1, 32, 32), random) for _ in range(20)]
    masks = torch.stack([each[2] for each in found])
    assert 0.1 < masks.mean() < 0.99
    error = torch.stack([(each[:2] - wave * each[2]).abs().mean() for each in found])
    assert 0 < error.mean() < 0.1


def test_a_share_of_the_crops_gets_hints():
    chroma, luma = torch.full((200, 2, 16, 16), 0.1), torch.rand(200, 1, 16, 16)
    found = hints.random_hints(chroma, luma, 0.4, torch.Generator().manual_seed(1))
    share = found[:, 2].flatten(1).any(1).float().mean()
    assert 0.3 < share < 0.5
    assert not found[~found[:, 2].flatten(1).any(1)].any()


def test_a_training_with_hints_scores_itself_and_ends_in_a_file(photos, tmp_path):
    result = train(tmp_path, photos, "--cache", str(tmp_path / "cache"))
    assert result.exit_code == 0, result.output
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert '"validation_loss"' in log and '"ab_gain"' in log
    generator = load_generator(tmp_path / "run" / "final.safetensors")
    assert generator(torch.rand(1, 1, 64, 64), torch.zeros(1, 3, 16, 16)).shape == (1, 2, 16, 16)


def test_a_resumed_run_may_be_longer_but_nothing_else(photos, tmp_path):
    assert train(tmp_path, photos, "--phase", "pretrain-1").exit_code == 0
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        RECIPE.format(steps=5, encoder="random").replace("rates = [1e-4", "rates = [2e-4")
    )
    words = ["train", str(recipe), "--data", str(photos), "--out", str(tmp_path / "run")]
    refused = CliRunner().invoke(command, [*words, "--resume"])
    assert refused.exit_code == 1 and "is not the recipe" in refused.stderr
    longer = train(tmp_path, photos, "--resume", steps=5)
    assert longer.exit_code == 0, longer.output
    assert read_recipe(tmp_path / "run" / "recipe.toml").pretrain[0].steps == 5


def test_a_training_can_start_from_an_exported_lite(photos, tmp_path):
    assert train(tmp_path, photos).exit_code == 0
    start = tmp_path / "start.safetensors"
    (tmp_path / "run" / "final.safetensors").rename(start)
    (tmp_path / "again").mkdir()
    result = train(tmp_path / "again", photos, "--start", str(start))
    assert result.exit_code == 0, result.output


def test_an_encoder_that_is_not_there_is_named(photos, tmp_path):
    result = train(tmp_path, photos, encoder="/nowhere/encoder.safetensors")
    assert result.exit_code == 1
    assert "cannot read the encoder /nowhere/encoder.safetensors" in result.stderr


def test_colors_stay_when_the_class_weights_change():
    settings = LiteSettings(
        architecture="lite",
        widths=(8,) * 4,
        decoder=(8,) * 3,
        bins=4,
        prior_correction=1.0,
        ema=0.5,
    )
    centers = torch.tensor([[0, 0], [0.035, 0], [0, 0.035], [0.035, 0.035]])
    palette = Palette(centers, torch.tensor([0.7, 0.2, 0.06, 0.04]))
    cpu = DistributedContext(device=torch.device("cpu"), dtype=torch.float32)
    trainer = LiteTrainer(settings, recipe.Content(pixels=0.0), cpu, palette)
    stage = recipe.Stage(steps=1, size=64, batch=1, rates=(0.0,), rebalance=0.1)
    trainer.begin_stage(stage)
    luma = torch.rand(1, 1, 64, 64)
    trainer.network.eval()

    def colors() -> torch.Tensor:
        return trainer.chroma(trainer.generate(luma))

    before = colors()
    saved = copy.deepcopy(trainer.state_dict())
    trainer.begin_stage(dataclasses.replace(stage, rebalance=0.9))
    torch.testing.assert_close(colors(), before)
    trainer.load_state_dict(saved)
    trainer.begin_stage(stage)  # as a resumed phase does: nothing changes
    torch.testing.assert_close(colors(), before)
