"""Training: recipes, photos, and a run of a few steps that is stopped and resumed."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from vidcolor.cli import vidcolor as command
from vidcolor.errors import RecipeError
from vidcolor.nogan.palette import Palette
from vidcolor.nogan.photos import Crops, load_photos
from vidcolor.nogan.pretrain import pretrain
from vidcolor.nogan.recipe import Recipe, read_recipe
from vidcolor.nogan.wear import wear
from vidcolor.weights.checkpoint import load_generator

TINY = {"batch_size": 2, "crop": 64, "warmup_steps": 1}


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory):
    """Six colourful photos of 96x72, a gray one and a broken one."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(6):
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 72)).save(folder / f"{number}.png")
    Image.linear_gradient("L").resize((96, 72)).save(folder / "gray.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    (folder / "notes.txt").write_text("not looked at")
    return folder


def test_the_recipe_that_comes_along_is_the_default():
    assert read_recipe(Path(__file__).parents[1] / "training" / "lite.toml") == Recipe()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz = 5", "unknown key 'stepz'"),
        ("steps = 0", "steps = 0 is not in 1 .. "),
        ("crop = 100", "not a multiple of 32"),
        ("steps = 'many'", "steps must be a number"),
        ("steps = ", "not a TOML file"),
    ],
)
def test_a_recipe_that_is_wrong(tmp_path, text, words):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words) as error:
        read_recipe(path)
    assert str(path) in str(error.value)


def test_photos_from_folders_and_zips(photo_folder, tmp_path):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in photo_folder.iterdir():
            file.write(path, f"some/{path.name}")
    for place in (photo_folder, archive):
        photos = load_photos([place], smallest=32)
        assert (len(photos.pictures), photos.gray, photos.broken) == (6, 1, 1)
        assert photos.pictures[0].shape == (3, 72, 96)


def test_photos_that_cannot_be_used(photo_folder, tmp_path):
    with pytest.raises(RecipeError, match="neither a folder nor a zip"):
        load_photos([tmp_path / "nowhere"], smallest=32)
    with pytest.raises(RecipeError, match="no colour photo of 100 pixels"):
        load_photos([photo_folder], smallest=100)


def test_crops_repeat_with_the_seed(photo_folder):
    photos = load_photos([photo_folder], smallest=32)
    one, same, other = (Crops(photos, 64, seed).draw(4) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_soft_labels_average_to_the_chroma_that_was_asked_for(photo_folder):
    palette = Palette.of(load_photos([photo_folder], smallest=32).pictures, bins=196)
    # Chroma between four bins that photos do use.
    wanted = (palette.centers[98] * 1.0).view(1, 2, 1, 1)
    bins, weights = palette.soft_labels(wanted)
    mean = (palette.centers[bins[0, :, 0, 0]] * weights[0, :, 0, 0, None]).sum(0)
    torch.testing.assert_close(mean, wanted.flatten(), atol=1e-5, rtol=0)
    assert torch.allclose(weights.sum(1), torch.ones(1, 1, 1))


def test_rare_colours_weigh_more_and_the_mean_is_one(photo_folder):
    palette = Palette.of(load_photos([photo_folder], smallest=32).pictures, bins=50)
    weights = palette.rarity(0.5)
    assert weights[palette.frequency.argmin()] > weights[palette.frequency.argmax()]
    assert (weights * palette.frequency).sum() == pytest.approx(1)


def test_wear_changes_the_picture_and_keeps_its_range():
    random = torch.Generator().manual_seed(0)
    luma, chroma = torch.rand(8, 1, 32, 32), torch.rand(8, 2, 32, 32) - 0.5
    assert torch.equal(wear(luma, chroma, 0.0, random), luma)
    worn = wear(luma, chroma, 1.0, random)
    assert worn.shape == luma.shape
    assert worn.min() >= 0 and worn.max() <= 1
    assert (worn - luma).abs().mean() > 0.02


def test_a_run_that_was_stopped_ends_like_one_that_was_not(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("vidcolor.nogan.pretrain.SAVE_EVERY", 2)
    photos = load_photos([photo_folder], smallest=32)
    recipe = Recipe(steps=5, **TINY)
    device = torch.device("cpu")
    whole = pretrain(recipe, photos, tmp_path / "whole", device=device)

    def stop(step, loss, rate):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(recipe, photos, tmp_path / "stopped", device=device, on_step=stop)
    resumed = pretrain(recipe, photos, tmp_path / "stopped", device=device)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_train_makes_a_model_that_loads(photo_folder, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text("steps = 2\n" + "\n".join(f"{key} = {value}" for key, value in TINY.items()))
    out = tmp_path / "run"
    result = CliRunner().invoke(
        command,
        ["train", str(recipe), "--data", str(photo_folder), "--out", str(out), "--device", "cpu"],
    )
    assert result.exit_code == 0, result.stderr
    assert "6 photos; left out: 1 gray, 1 broken" in result.stderr
    model = load_generator(out / "final.safetensors")
    assert model.name == "lite"
    assert model(torch.rand(1, 1, 64, 96)).shape == (1, 2, 16, 24)
