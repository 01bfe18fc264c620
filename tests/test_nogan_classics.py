"""The classics: SAGAN, pix2pix and WGAN-GP as recipes of the same engine."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import Tensor, nn

from vidcolor.cli import vidcolor as command
from vidcolor.errors import RecipeError
from vidcolor.media.probe import probe
from vidcolor.metrics.lab import lab
from vidcolor.models.lab import ab_to_chroma, lab_to_rgb, luma_to_lightness, rgb_to_lab
from vidcolor.models.patch_critic import PatchCritic
from vidcolor.models.pix2pix import Pix2Pix
from vidcolor.models.resnet_bins import ResNetBins
from vidcolor.models.sagan import Sagan
from vidcolor.nogan import imagenet, train
from vidcolor.nogan.adversarial import LOSSES, gradient_penalty
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.recipe import Recipe, read_recipe
from vidcolor.nogan.run import Run, read_state
from vidcolor.weights.checkpoint import load_generator

TRAINING = Path(__file__).parents[1] / "training"
NAMES = ("sagan", "pix2pix", "wgan-gp")
CPU = DistributedContext(device=torch.device("cpu"), dtype=torch.float32)


def tiny(name: str) -> Path:
    return TRAINING / f"{name}-tiny.toml"


@pytest.fixture(scope="module")
def photos(photo_folder):
    return load_photos([photo_folder], smallest=32)


def trained(name: str, photos, out: Path, recipe: Recipe | None = None, **more) -> Path:
    """The folder of a run of a tiny recipe."""
    run = Run.open(out, tiny(name), CPU, resume=out.exists())
    train.train(recipe or read_recipe(tiny(name)), photos, photos.subset([0, 1]), run, **more)
    return out


@pytest.fixture(scope="module")
def runs(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classics")
    return {name: trained(name, photos, folder / name) for name in NAMES}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# ---- The networks are those of their authors


def test_parameters_and_patches_are_the_published_ones():
    with torch.device("meta"):
        assert parameters(Pix2Pix()) == 54_409_856
        assert parameters(PatchCritic()) == 2_765_633
        assert parameters(Sagan().encoder) == 20_024_384
        assert PatchCritic()(torch.empty(1, 3, 256, 256)).shape == (1, 30 * 30)


def test_the_encoders_take_the_published_weights():
    """Their tensors have the names and shapes of torchvision's."""
    from torchvision.models import resnet34, vgg19

    with torch.device("meta"):
        vgg, resnet = vgg19().features.state_dict(), resnet34().state_dict()
        ours, theirs = Sagan().encoder.state_dict(), ResNetBins().encoder.state_dict()
    assert {name: t.shape for name, t in ours.items()} == {name: t.shape for name, t in vgg.items()}
    assert all(resnet[name].shape == tensor.shape for name, tensor in theirs.items())
    assert {name for name in resnet if not name.startswith("fc.")} == set(theirs)


def test_lab_is_cielab():
    rgb = torch.rand(2, 3, 16, 16)
    ours = rgb_to_lab(rgb)
    for picture, found in zip(rgb, ours, strict=True):
        wanted = torch.from_numpy(lab(picture.permute(1, 2, 0).numpy())).permute(2, 0, 1)
        assert (found - wanted).abs().max() < 0.5  # OpenCV's tables are coarse
    torch.testing.assert_close(lab_to_rgb(ours), rgb, atol=1e-4, rtol=0)
    gray = torch.rand(1, 1, 8, 8)
    assert luma_to_lightness(gray).max() <= 100
    assert ab_to_chroma(gray, torch.zeros(1, 2, 8, 8)).abs().max() < 1e-4


# ---- Losses


def test_adversarial_losses_are_those_of_the_papers():
    generated, real = torch.tensor([[0.5, -2.0]]), torch.tensor([[2.0, 0.0]])
    values = {
        name: (loss.critic(generated, real, 1.0).item(), loss.generator(generated).item())
        for name, loss in LOSSES.items()
    }
    assert values["lsgan"] == pytest.approx(((4.25 / 2 + 2 / 2) / 2, (0.25 + 9) / 2))
    assert values["hinge"] == pytest.approx((0.5 + 0.75, 0.75))
    assert values["wasserstein"] == pytest.approx((-0.75 - 1.0, 0.75))
    cross = nn.functional.binary_cross_entropy_with_logits
    wanted = (cross(generated, torch.zeros(1, 2)) + cross(real, torch.ones(1, 2))) / 2
    assert values["bce"][0] == pytest.approx(wanted.item())
    smoothed = LOSSES["bce"].critic(generated, real, 0.9)
    wanted = (cross(generated, torch.zeros(1, 2)) + cross(real, torch.full((1, 2), 0.9))) / 2
    assert smoothed.item() == pytest.approx(wanted.item())
    assert LOSSES["hinge"].critic(generated, real, 0.9).item() == pytest.approx(0.45 + 0.75)


def test_the_gradient_penalty_is_zero_at_norm_1_and_computed_in_float32():
    random = torch.Generator().manual_seed(0)
    ours, photo = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    seen = []

    def critic(picture: Tensor, norm: float) -> Tensor:
        seen.append((picture * 1.0 @ torch.eye(8)).dtype)
        return norm / (3 * 64) ** 0.5 * picture.flatten(1).sum(1, keepdim=True)

    with torch.autocast("cpu", torch.bfloat16):
        for norm, wanted in ((1.0, 0.0), (3.0, 4.0)):
            found = gradient_penalty(lambda x, n=norm: critic(x, n), ours, photo, random)
            assert found.item() == pytest.approx(wanted, abs=1e-4)
    assert seen == [torch.float32] * 2


# ---- Whole runs


@pytest.mark.parametrize("name", NAMES)
def test_its_result_colors_a_film(name, runs, clip, tmp_path):
    film = tmp_path / "colored.mp4"
    final = runs[name] / "final.safetensors"
    words = [str(clip), "--model", str(final), "--device", "cpu", "--render-factor", "4"]
    result = CliRunner().invoke(command, [*words, "-o", str(film)])
    assert result.exit_code == 0, result.stderr
    assert probe(film).width == probe(clip).width
    assert load_generator(final).name in name or name == "wgan-gp"
    assert list((runs[name] / "samples").glob("gan-*-chosen.png"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_run_ends_like_one_that_was_not(name, runs, photos, tmp_path):
    """It is stopped after every step, before the step is in a checkpoint."""
    seen: set[tuple[str, int]] = set()
    phase = [""]

    def on_step(step: int, *_: object) -> None:
        if (phase[0], step) not in seen:
            seen.add((phase[0], step))
            raise KeyboardInterrupt

    out = tmp_path / name
    while True:
        try:
            trained(
                name,
                photos,
                out,
                on_step=on_step,
                on_phase=lambda now: phase.__setitem__(0, now.name),
            )
            break
        except KeyboardInterrupt:
            pass
    assert len(seen) >= 5
    ours, whole = (load_file(folder / "final.safetensors") for folder in (out, runs[name]))
    assert all(torch.equal(ours[key], tensor) for key, tensor in whole.items())
    assert (out / "log.jsonl").read_text() == (runs[name] / "log.jsonl").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_file_can_be_trained_further(name, runs, photos, tmp_path):
    start = runs[name] / "final.safetensors"
    first = train.phases(read_recipe(tiny(name)))[0].name
    again = trained(name, photos, tmp_path / "run", start=start, only=[first])
    assert read_state(again / "checkpoints" / f"{first}.pt")["generator"]["network"]


TOGETHER = """
import dataclasses, sys
from pathlib import Path
from vidcolor.nogan import train
from vidcolor.nogan.distributed import join_processes
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.recipe import read_recipe
from vidcolor.nogan.run import Run

file, photos, out, accumulate = sys.argv[1:]
context = join_processes("cpu", "fp32")
recipe = read_recipe(Path(file))
parts = {"accumulate": int(accumulate)}
generator = recipe.generator
if hasattr(generator, "dropout"):
    generator = dataclasses.replace(generator, dropout=0.0)
recipe = dataclasses.replace(
    recipe,
    generator=generator,
    pretrain=tuple(dataclasses.replace(s, **parts) for s in recipe.pretrain),
    gan=tuple(dataclasses.replace(s, **parts, steps=2) for s in recipe.gan),
)
photos = load_photos([Path(photos)], smallest=32)
run = Run.open(Path(out), Path(file), context, resume=False)
train.train(recipe, photos, photos.subset([0, 1]), run)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_learn_what_one_learns(name, photo_folder, tmp_path, monkeypatch):
    """Over gloo, each with half of each batch, against one that takes the halves in turn; batch
    norm counts each half by itself, and its running statistics are compared in no way.

    Spectral norm iterates at each half that a process sees, so that SAGAN's weights are compared by
    the losses that they lead to.
    """
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    pair = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [str(script), str(tiny(name)), str(photo_folder)]
    done = subprocess.run(
        [*pair, *words, str(tmp_path / "two"), "1"],
        env=os.environ | {"PYTHONPATH": str(TRAINING.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    monkeypatch.setattr(sys, "argv", [*words, str(tmp_path / "one"), "2"])
    runpy.run_path(str(script))
    losses = [
        [
            entry[key]
            for entry in map(json.loads, (tmp_path / out / "log.jsonl").open())
            for key in ("loss", "critic", "generator")
            if key in entry
        ]
        for out in ("two", "one")
    ]
    assert len(losses[0]) >= 8
    assert losses[0] == pytest.approx(losses[1], rel=1e-2, abs=1e-2)
    if name == "sagan":
        return
    last = train.phases(read_recipe(tiny(name)))[-1].name
    for part in ("generator", "critic"):
        two, one = (
            read_state(tmp_path / out / "checkpoints" / f"{last}.pt")[part]
            for out in ("two", "one")
        )
        two, one = (state.get("network", state) for state in (two, one))
        for key in (k for k in one if k.endswith("weight") or "original" in k):
            torch.testing.assert_close(two[key], one[key], atol=1e-3, rtol=0, msg=key)


def test_the_critic_takes_its_steps_and_the_generator_one(runs):
    """wgan-gp-tiny has two critic steps per generator step."""
    state = read_state(runs["wgan-gp"] / "checkpoints" / "gan-1.pt")
    assert state["scores"][-1]["generator_steps"] == 3
    partial = (runs["wgan-gp"] / "log.jsonl").read_text()
    assert partial.count('"critic"') == 3


def test_frozen_layers_and_their_statistics_stay(photos, tmp_path):
    recipe = read_recipe(tiny("wgan-gp"))
    stages = tuple(dataclasses.replace(s, frozen=2, steps=2) for s in recipe.pretrain)
    recipe = dataclasses.replace(recipe, pretrain=stages, cycles=0)
    out = trained("wgan-gp", photos, tmp_path / "run", recipe)
    first, second = (
        read_state(out / "checkpoints" / f"pretrain-{n}.pt")["generator"]["network"] for n in (1, 2)
    )
    same = {name for name in first if torch.equal(first[name], second[name])}
    frozen = ("encoder.conv1.", "encoder.bn1.", "encoder.layer1.")
    assert {name for name in first if name.startswith(frozen)} <= same
    assert "encoder.layer2.0.conv1.weight" not in same
    assert "encoder.layer2.0.bn1.running_mean" not in same


def test_a_stage_has_its_own_augmentation(photos, tmp_path, monkeypatch):
    from vidcolor.nogan import turns

    real, seen = turns.augment, []
    monkeypatch.setattr(
        turns,
        "augment",
        lambda crops, how, random: seen.append(how.flip) or real(crops, how, random),
    )
    trained("pix2pix", photos, tmp_path / "run")
    assert seen == [0.0] * 6 + [0.5] * 4  # critic and generator: three steps, then two


def test_an_encoder_that_cannot_be_had_is_random_and_said_in_one_line(
    photos, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("VIDCOLOR_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(imagenet, "ORIGIN", "http://127.0.0.1:9/")
    monkeypatch.setitem(imagenet.FILES, "vgg19", "no-vgg-0.pth")
    with caplog.at_level(logging.WARNING):
        assert imagenet.encoder_or_random("vgg19") is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert "\n" not in line and line.endswith('the training begins with encoder = "random"')


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["pix2pix", "pix2pix-faces"])
def test_the_trial_that_must_overfit(variant, tmp_path):
    """Twenty photos, seen again and again: the error of a and b falls below half of gray's."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "photos"
    archive = folder / "val-000.zip"
    if not archive.exists():
        pytest.skip("the photos of the trial are not here")
    recipe = read_recipe(TRAINING / f"{variant}.toml")
    generator = dataclasses.replace(recipe.generator, width=16, depth=6, dropout=0.0)  # pyright: ignore
    assert recipe.critic
    critic = dataclasses.replace(recipe.critic, width=8)  # pyright: ignore[reportCallIssue]
    stage = dataclasses.replace(
        recipe.gan[0],
        steps=300,
        size=64,
        batch=10,
        rates=(2e-3,),
        critic_rate=0.1,
        augment=None,
        score_every=300,
    )
    plain = dataclasses.replace(recipe.augment, flip=0.0)
    recipe = dataclasses.replace(
        recipe, generator=generator, critic=critic, gan=(stage,), augment=plain, score_photos=20
    )
    twenty = load_photos([archive], smallest=64).subset(range(20))
    run = Run.open(tmp_path / "run", TRAINING / f"{variant}.toml", CPU, resume=False)
    train.train(recipe, twenty, twenty, run)
    last = read_state(run.result("gan-1"))["scores"][-1]
    assert last["ab_gain"] > 20 * math.log10(2), last


# ---- Wrong combinations are refused when the recipe is read


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (
            "wgan-gp",
            'rhythm = "steps"\n',
            "",
            r"wasserstein.* no level that a threshold could mean",
        ),
        ("wgan-gp", 'norm = "none"', 'norm = "batch"', r"penalty = 10\.0 .* critic has batch norm"),
        ("wgan-gp", 'norm = "none"', 'norm = "spectral"', r"penalty = 10\.0 .* spectral norm"),
        ("wgan-gp", "penalty = 10.0\n", "", r"wasserstein.* needs a penalty above 0"),
        ("wgan-gp", "penalty = 10.0", "penalty = 10.0\nreal_label = 0.9", "has no meaning with"),
        ("wgan-gp", "border = 16", "border = 32", "border = 32 leaves nothing of size = 64"),
        ("wgan-gp", "border = 16", "border = 28", "border = 28 is too small for a critic"),
        (
            "wgan-gp",
            "frozen = 5",
            "frozen = 6",
            "frozen = 6 leaves nothing .* has 6 groups",
        ),
        ("pix2pix", "depth = 6", "depth = 7", "size = 64 is not a multiple of 128"),
        ("pix2pix", "width = 8\ndepth", "encoder = 'imagenet'\ndepth", "pix2pix has none"),
        ("pix2pix", 'rhythm = "steps"\n', "critic_steps = 2\n", "critic_steps = 2 needs rhythm"),
        ("sagan", 'encoder = "random"\n', "", r"widths = \[8.* needs encoder = 'random'"),
        ("sagan", "widths = [8, ", "widths = [", "widths must hold 5 numbers"),
        ("sagan", 'loss = "hinge"', 'loss = "hing"', "loss = 'hing' is none of 'bce', 'lsgan'"),
        ("sagan", '"patch"', '"match"', "critic.architecture = 'match' is none of 'deoldify'"),
        (
            "sagan",
            "betas = [0.0, 0.9]",
            'betas = [0.0, 0.9]\nschedule = "one-cycle"',
            r"betas\[0\] = 0\.0 is not used by the one-cycle schedule",
        ),
    ],
)
def test_a_wrong_combination_is_refused(tmp_path, name, old, new, words):
    text = tiny(name).read_text()
    assert old in text
    path = tmp_path / "recipe.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RecipeError, match=words):
        read_recipe(path)


@pytest.mark.parametrize("name", [*NAMES, "pix2pix-faces"])
def test_published_recipes_are_right(name):
    recipe = read_recipe(TRAINING / f"{name}.toml")
    assert {phase.kind for phase in train.phases(recipe)} <= {"pretrain", "gan"}
    assert all(stage.rhythm == "steps" and stage.choose == "last" for stage in recipe.gan)
