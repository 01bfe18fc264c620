"""Recipes and runs of version 0.1 are read under today's names, with a warning."""

import dataclasses
import json
import logging
import re
from pathlib import Path

import pytest
import torch

from vidcolor.errors import RecipeError
from vidcolor.nogan import train
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.lite_trainer import LiteSettings
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.recipe import read_recipe
from vidcolor.nogan.run import Run, read_state

TINY = Path(__file__).parents[1] / "training" / "tiny.toml"
CPU = DistributedContext(device=torch.device("cpu"), dtype=torch.float32)
OLD_KEYS = {
    "score_photos": "scored",
    "degrade": "wear",
    "bins = 32": "bins = 32\ncalm = 0.4\nvividness = 1.5",
    "noise = 0.5": "noise = 0.5\nchance = 0.6",
    "pixels = 1.0": 'pixels = 1.0\ninstead = "none"',
}
OLD_STATE = {
    "generator": "painter",
    "optimizer": "descent",
    "generator_optimizer": "artist",
    "critic_optimizer": "judging",
    "generator_steps": "moves",
}


@pytest.fixture
def old_recipe(tmp_path):
    """tiny.toml as version 0.1 wrote it."""
    text = TINY.read_text()
    for today, old in OLD_KEYS.items():
        assert today in text
        text = text.replace(today, old)
    path = tmp_path / "old.toml"
    path.write_text(text)
    return path


def test_a_recipe_of_version_0_1(old_recipe, caplog):
    with caplog.at_level(logging.WARNING):
        recipe = read_recipe(old_recipe)
    assert recipe.score_photos == 4 and recipe.content.fallback == "none"
    assert isinstance(recipe.generator, LiteSettings)
    assert (recipe.generator.prior_correction, recipe.generator.chroma_gain) == (0.4, 1.5)
    assert (recipe.augment.degrade, recipe.augment.probability) == (0.5, 0.6)
    for old, today in (("scored", "score_photos"), ("content.instead", "fallback")):
        assert f"the recipe's key '{old}' is called '{today}' today" in caplog.text


def test_a_key_under_both_names(old_recipe):
    old_recipe.write_text(
        old_recipe.read_text().replace("scored = 4", "scored = 4\nscore_photos = 4")
    )
    with pytest.raises(RecipeError, match="scored is score_photos today; keep one of the two"):
        read_recipe(old_recipe)


def make_old(path: Path) -> None:
    """Give a checkpoint the names of version 0.1, which counted no updates of the average."""
    state = torch.load(path, weights_only=True)
    for part in (state, state.get("best", {})):
        for today, old in OLD_STATE.items():
            if today in part:
                part[old] = part.pop(today)
        if "painter" in part:
            del part["painter"]["updates"]
    torch.save(state, path)


def test_a_run_of_version_0_1_goes_on(old_recipe, photo_folder, tmp_path, monkeypatch):
    """Stopped in the middle of its GAN phase."""
    photos = load_photos([photo_folder], smallest=32)
    held = photos.subset([0, 1])
    recipe = dataclasses.replace(read_recipe(old_recipe), cycles=1)
    run = Run.open(tmp_path / "run", old_recipe, CPU, resume=False)
    save = Run.save

    def save_and_stop(self, phase, *rest, **more):
        save(self, phase, *rest, **more)
        if phase == "gan-1" and more["step"] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(recipe, photos, held, run)
    monkeypatch.undo()
    for path in (run.folder / "checkpoints").iterdir():
        make_old(path)
    (run.folder / "photos.json").unlink()  # came later

    today = tmp_path / "today.toml"
    text = re.sub(r"\bscored\b", "score_photos", old_recipe.read_text())
    today.write_text(text)
    again = Run.open(run.folder, today, CPU, resume=True)
    assert train.train(recipe, photos, held, again) == run.folder / "final.safetensors"
    state = read_state(run.result("gan-1"))
    assert state["generator"]["updates"] > 1_000_000
    steps = [
        line["step"]
        for line in map(json.loads, (run.folder / "log.jsonl").read_text().splitlines())
        if line["phase"] == "gan-1" and ("critic" in line or "generator" in line)
    ]
    assert steps == [1, 2, 3, 4, 5]
