"""Trainings that go wrong stop in one line, and spoil nothing that was learned."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from vidcolor.errors import TrainingError
from vidcolor.nogan import train
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.draw import draw_curves
from vidcolor.nogan.generator_trainer import LiteTrainer, UNetTrainer
from vidcolor.nogan.inflection import best_of, has_turned
from vidcolor.nogan.optimizer_loop import OptimizerLoop
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.recipe import Content, Generator, Stage, read_recipe
from vidcolor.nogan.run import Run, read_state
from vidcolor.nogan.seeding import StepKey

CPU = DistributedContext(device=torch.device("cpu"), dtype=torch.float32)
TINY = Path(__file__).parents[1] / "training" / "tiny.toml"
FIRST = {
    "step": 0.0,
    "frechet": 4.0,
    "ab_error": 10.0,
    "colorfulness_gap": -0.4,
    "skin_gap": 0.0,
    "saturated_gap": 0.0,
}


@pytest.fixture(scope="module")
def photos(photo_folder):
    return load_photos([photo_folder], smallest=32)


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing(bad):
    layer = nn.Linear(2, 1)
    before = [parameter.clone() for parameter in layer.parameters()]
    stage = Stage(size=64, batch=1, rates=(0.1,))
    optimizer = OptimizerLoop([(0.1, list(layer.parameters()))], stage, CPU)

    def loss_of(part: int, parts: int) -> torch.Tensor:
        out = layer(torch.ones(1, 2)).sum()
        return out * math.nan if bad == "loss" else (out * 0).sqrt()

    words = "not finite at step 3 of gan-1" if bad == "gradient" else "loss is nan at step 3 of gan"
    with pytest.raises(TrainingError, match=words):
        optimizer.step(loss_of, StepKey(1, "gan-1", 2), (1.0, 0.9))
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
    assert not optimizer.state_dict()["optimizer"]["state"]


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(photos, tmp_path, monkeypatch):
    """In pretraining, at the third step; the checkpoint of the second is whole and finite."""
    real, calls = LiteTrainer.loss, []

    def loss(self, answer, sample):
        calls.append(1)
        return real(self, answer, sample) * (math.nan if len(calls) == 3 else 1)

    monkeypatch.setattr(LiteTrainer, "loss", loss)
    run = Run.open(tmp_path / "run", TINY, CPU, resume=False)
    with pytest.raises(TrainingError, match="loss is nan at step 3 of pretrain-1"):
        train.train(read_recipe(TINY), photos, photos.subset([0, 1]), run)
    state = read_state(run.partial("pretrain-1"))
    assert state["step"] == 2
    assert all(value.isfinite().all() for value in state["generator"]["network"].values())
    assert not run.is_done("pretrain-1")


def test_a_score_that_is_not_finite_is_never_the_best():
    bad = FIRST | {"ab_error": math.nan}
    better = FIRST | {"frechet": 3.0}
    assert best_of([bad]) is None and has_turned([bad], 5)
    assert best_of([bad, FIRST]) is None
    assert best_of([FIRST, bad, better]) == 2
    assert best_of([FIRST, bad, bad]) == 0 and has_turned([FIRST, bad, bad], 2)


def test_curves_leave_out_what_is_not_finite(tmp_path):
    draw_curves(tmp_path / "a.png", {"a": [(0, math.nan), (1, 2.0)], "b": [(0, math.inf)]}, mark=0)
    assert (tmp_path / "a.png").exists()


def test_a_generator_that_is_not_finite_does_not_enter_the_gan_phase(photos, tmp_path):
    recipe = read_recipe(TINY)
    recipe = dataclasses.replace(recipe, cycles=1)
    run = Run.open(tmp_path / "run", TINY, CPU, resume=False)
    held = photos.subset([0, 1])
    train.train(recipe, photos, held, run, only=["pretrain", "images", "critic"])
    path = run.result("pretrain-2")
    state = torch.load(path, weights_only=True)
    for part in ("network", "average"):
        state["generator"][part]["head.bias"].fill_(math.nan)
    torch.save(state, path)
    with pytest.raises(TrainingError, match="gan-1 begins with gives colors that are not finite"):
        train.train(recipe, photos, held, run, only=["gan"])
    assert not run.is_done("gan-1")


def averaging(ema: float = 0.999) -> UNetTrainer:
    settings = Generator(architecture="deep", shrink=32, ema=ema)
    return UNetTrainer(settings, Content(), CPU, None, None)


def weight_of_the_average(trainer: UNetTrainer) -> float:
    """How much of the average is still there after one update with all weights at 1."""
    with torch.no_grad():
        for average, now in zip(
            trainer.ema.parameters(), trainer.network.parameters(), strict=True
        ):
            average.zero_()
            now.fill_(1)
    trainer.update_ema()
    return 1 - next(trainer.ema.parameters()).flatten()[0].item()


def test_the_average_goes_on_over_phases():
    trainer = averaging()
    for _ in range(90):
        trainer.update_ema()
    later = averaging()
    later.load_state_dict(trainer.state_dict())
    assert weight_of_the_average(later) == pytest.approx(91 / 100, abs=1e-4)


def test_an_average_of_unknown_length_is_taken_as_long():
    """A run of version 0.1 did not count, and published weights come without a count."""
    state = averaging().state_dict()
    del state["updates"]
    old, published = averaging(), averaging()
    old.load_state_dict(state)
    published.load_weights(state["network"])
    for trainer in (old, published):
        assert weight_of_the_average(trainer) == pytest.approx(0.999, abs=1e-4)


def test_a_run_counts_the_updates_of_its_average(photos, tmp_path):
    recipe = dataclasses.replace(read_recipe(TINY), cycles=1)
    run = Run.open(tmp_path / "run", TINY, CPU, resume=False)
    train.train(recipe, photos, photos.subset([0, 1]), run)
    counts = [
        read_state(run.result(phase))["generator"]["updates"]
        for phase in ("pretrain-1", "pretrain-2", "gan-1")
    ]
    assert counts[:2] == [3, 5] and counts[2] >= 5
