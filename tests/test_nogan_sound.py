"""Trainings that go wrong stop in one line, and spoil nothing that was learned."""

import dataclasses
import math
import shutil
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

from vidcolor.cli import vidcolor as command
from vidcolor.errors import TrainingError
from vidcolor.nogan import train
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.draw import draw_curves
from vidcolor.nogan.inflection import best_of, has_turned
from vidcolor.nogan.lite_trainer import LiteSettings, LiteTrainer
from vidcolor.nogan.optimizer_loop import OptimizerLoop
from vidcolor.nogan.palette import Palette
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.recipe import read_recipe
from vidcolor.nogan.run import Run, read_state
from vidcolor.nogan.seeding import StepKey
from vidcolor.nogan.settings import Content, Stage
from vidcolor.nogan.unet_trainer import DeepTrainer, UNetSettings, UNetTrainer

CPU = DistributedContext(device=torch.device("cpu"), dtype=torch.float32)
TINY_LITE = """architecture = "lite"
widths = [8, 8, 8, 8]
decoder = [8, 8, 8]
bins = 32
"""
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
    settings = UNetSettings(architecture="deep", shrink=32, ema=ema)
    return DeepTrainer(settings, Content(), CPU, None, None)


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


def prepared(run: Path, name: str) -> Path:
    """A copy of a whole run to spoil."""
    return Path(shutil.copytree(run, run.parent / name))


@pytest.fixture(scope="module")
def whole(photo_folder, tmp_path_factory):
    """The folder of a whole run of one cycle."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    (folder.parent / "one.toml").write_text(TINY.read_text().replace("cycles = 2", "cycles = 1"))
    result = CliRunner().invoke(command, words(folder, photo_folder))
    assert result.exit_code == 0, result.stderr
    return folder


def words(folder: Path, photo_folder: Path, *more: str, recipe: Path | None = None) -> list[str]:
    recipe = recipe or folder.parent / "one.toml"
    where = ["--data", str(photo_folder), "--out", str(folder)]
    return ["train", str(recipe), *where, "--device", "cpu", "--precision", "fp32", *more]


def refusal(arguments: list[str]) -> str:
    """The one line that the command ends with."""
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("length", [0, 1000, -100])
@pytest.mark.parametrize("file", ["gan-1.pt", "pretrain-2.pt"])
def test_a_damaged_checkpoint_is_told_in_one_line(whole, photo_folder, file, length, request):
    folder = prepared(whole, request.node.name)
    path = folder / "checkpoints" / file
    path.write_bytes(path.read_bytes()[:length])
    if file == "pretrain-2.pt":
        (folder / "checkpoints" / "images-1.pt").unlink()
    told = refusal(words(folder, photo_folder, "--resume"))
    assert f"{path} is damaged" in told and "delete it, and --resume makes it again" in told


def test_a_deleted_checkpoint_is_made_again(whole, photo_folder):
    folder = prepared(whole, "again")
    path = folder / "checkpoints" / "gan-1.pt"
    before = read_state(path)["generator"]["network"]
    path.unlink()
    result = CliRunner().invoke(command, words(folder, photo_folder, "--resume"))
    assert result.exit_code == 0, result.stderr
    after = read_state(path)["generator"]["network"]
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert (folder / "log.jsonl").read_text() == (whole / "log.jsonl").read_text()


@pytest.mark.parametrize("content", [b"", b"no palette", b"PK\3\4 cut off"])
def test_a_damaged_palette_is_told_in_one_line(whole, photo_folder, content):
    folder = prepared(whole, f"palette-{len(content)}")
    (folder / "palette.pt").write_bytes(content)
    assert "palette.pt is damaged" in refusal(words(folder, photo_folder, "--resume"))


def test_a_start_that_is_none(whole, photo_folder, tmp_path):
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"no checkpoint")
    arguments = words(tmp_path / "run", photo_folder, "--start", str(bad), recipe=TINY)
    for more in ([], ["--dry-run"]):
        assert f"{bad} is not a checkpoint of a run" in refusal([*arguments, *more])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("bins = 32", "bins = 30", "has 32 bins and the recipe 30"),
        (
            "widths = [8, 8, 8, 8]",
            "widths = [8, 8, 8, 12]",
            "is 8 x 8 x 3 x 3 there and 12 x 8 x 3 x 3 here",
        ),
        (TINY_LITE, 'architecture = "deep"\nshrink = 32\n', "its tensors have other names"),
    ],
)
def test_a_start_of_another_network(whole, photo_folder, tmp_path, old, new, told):
    recipe = tmp_path / "other.toml"
    recipe.write_text(TINY.read_text().replace(old, new))
    start = str(whole / "checkpoints" / "gan-1.pt")
    out = tmp_path / "run"
    line = refusal(words(out, photo_folder, "--start", start, recipe=recipe))
    assert told in line and start in line


def test_too_few_photos_to_score_with(photo_folder, tmp_path):
    """Seen before the training, and not at its first score."""
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(photo_folder / "0.png", one)
    arguments = words(tmp_path / "run", photo_folder, "--val", str(one), recipe=TINY)
    for more in ([], ["--dry-run"]):
        assert "1 photo is too few to score with" in refusal([*arguments, *more])
    assert not (tmp_path / "run" / "checkpoints" / "pretrain-1.pt").exists()


def test_six_photos_are_enough_for_batches_of_four(photo_folder, tmp_path):
    """Two are held back to score with, however small their share is."""
    photos = load_photos([photo_folder], smallest=32).subset(range(6))
    learned, held = photos.split(0.01, seed=1)
    assert (len(learned), len(held)) == (4, 2)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that refuses to be written")
def test_a_folder_that_cannot_be_made(photo_folder):
    told = refusal(words(Path("/proc/nothing/run"), photo_folder, recipe=TINY))
    assert "cannot write /proc/nothing" in told


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files here")
def test_a_full_disk_leaves_no_half_checkpoint(photo_folder, tmp_path):
    """As long as files may not grow beyond 30 kB; then the training goes on."""
    import resource

    folder = tmp_path / "run"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        told = refusal(words(folder, photo_folder, "--phase", "pretrain", recipe=TINY))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"cannot write {folder}/checkpoints/pretrain-1" in told and "--resume" in told
    assert list((folder / "checkpoints").iterdir()) == []
    arguments = words(folder, photo_folder, "--phase", "pretrain", "--resume", recipe=TINY)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.stderr


def test_other_photos_are_refused(whole, photo_folder, tmp_path):
    other = Path(shutil.copytree(photo_folder, tmp_path / "other"))
    folder = prepared(whole, "photos")
    moved = CliRunner().invoke(command, words(folder, other, "--resume"))
    assert moved.exit_code == 0, moved.stderr
    shutil.copy(other / "1.png", other / "0.png")
    told = refusal(words(folder, other, "--resume"))
    assert "was begun with other photos in --data" in told


def test_a_dry_run_refuses_what_the_run_refuses(whole, photo_folder):
    assert "add --resume" in refusal(words(whole, photo_folder, "--dry-run"))
    assert "is not the recipe that" in refusal(
        words(whole, photo_folder, "--dry-run", "--resume", recipe=TINY)
    )


def test_the_export_takes_the_rebalancing_of_its_own_stage(photos, tmp_path):
    """Of pretraining where that came last, though the recipe has a GAN phase of another one."""
    recipe = read_recipe(TINY)
    assert recipe.gan
    recipe = dataclasses.replace(recipe, gan=(dataclasses.replace(recipe.gan[0], rebalance=1.0),))
    run = Run.open(tmp_path / "run", TINY, CPU, resume=False)
    final = train.train(recipe, photos, photos.subset([0, 1]), run, only=["pretrain"])
    assert final is not None
    state = read_state(run.result("pretrain-2"))["generator"]["average"]
    palette = torch.load(run.folder / "palette.pt", weights_only=True)
    weights = Palette(**palette).class_weights(recipe.pretrain[1].rebalance)
    assert isinstance(recipe.generator, LiteSettings)
    wanted = state["head.bias"] - recipe.generator.prior_correction * weights.log()
    assert torch.allclose(load_file(final)["head.bias"].float(), wanted, atol=1e-2)


def test_events_hold_the_samples(photo_folder, tmp_path):
    """TensorBoard shows the grid of gray, colored and original at each score."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import (  # pyright: ignore[reportMissingImports]
        event_accumulator,
    )

    out = tmp_path / "run"
    CliRunner().invoke(command, words(out, photo_folder, recipe=TINY))
    events = event_accumulator.EventAccumulator(str(out / "events" / "gan-1"))
    events.Reload()
    pictures = events.Images("samples")
    assert [picture.step for picture in pictures][:2] == [0, 2]
    assert (pictures[0].width, pictures[0].height) == (3 * 64, 2 * 64)


def test_events_of_a_resumed_phase_come_once(photo_folder, tmp_path, monkeypatch):
    """Each phase has its own events, and those of steps that are taken again are marked."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import (  # pyright: ignore[reportMissingImports]
        event_accumulator,
    )

    folder = tmp_path / "run"
    real = LiteTrainer.loss

    def fail(self, answer, sample):
        raise KeyboardInterrupt

    first = [*words(folder, photo_folder, recipe=TINY), "--phase", "pretrain-1"]
    assert CliRunner().invoke(command, first).exit_code == 0
    monkeypatch.setattr(LiteTrainer, "loss", fail)
    CliRunner().invoke(command, [*first[:-1], "pretrain", "--resume"])
    monkeypatch.setattr(LiteTrainer, "loss", real)
    assert CliRunner().invoke(command, [*first[:-1], "pretrain", "--resume"]).exit_code == 0
    for phase, steps in (("pretrain-1", [1, 2, 3]), ("pretrain-2", [1, 2])):
        events = event_accumulator.EventAccumulator(str(folder / "events" / phase)).Reload()
        assert [event.step for event in events.Scalars("loss")] == steps
