"""Training: recipes, photos, and whole runs of a few steps that are stopped, killed and resumed."""

import dataclasses
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from vidcolor.cli import vidcolor as command
from vidcolor.errors import RecipeError
from vidcolor.nogan import imagenet, train
from vidcolor.nogan.augment import augment
from vidcolor.nogan.critic_kinds import DeOldifyCriticSettings
from vidcolor.nogan.degrade import degrade
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.inflection import best_of, has_turned
from vidcolor.nogan.palette import Palette
from vidcolor.nogan.photos import Batches, load_photos
from vidcolor.nogan.recipe import read_recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.settings import Augment, Images
from vidcolor.weights.checkpoint import load_generator

TRAINING = Path(__file__).parents[1] / "training"
TINY = TRAINING / "tiny.toml"
TINY_LITE = """architecture = "lite"
widths = [8, 8, 8, 8]
decoder = [8, 8, 8]
bins = 32
"""
"""Its network."""
CPU = DistributedContext(device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="module")
def photos(photo_folder):
    return load_photos([photo_folder], smallest=32)


@pytest.fixture(scope="module")
def clips(make_clip):
    """The option that gives a film in color to score with."""
    return "--clips", str(make_clip("bt709.mp4"))


@pytest.fixture(scope="module")
def finished(photo_folder, clips, tmp_path_factory):
    """The folder of a whole run of tiny.toml, made by the command."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    result = CliRunner().invoke(command, arguments(photo_folder, out, *clips))
    assert result.exit_code == 0, result.stderr
    assert "left out: 1 gray, 1 broken, 1 below" in " ".join(result.stderr.split())
    return out


def arguments(photo_folder: Path, out: Path, *more: str) -> list[str]:
    where = ["--data", str(photo_folder), "--out", str(out)]
    return ["train", str(TINY), *where, "--device", "cpu", "--precision", "fp32", *more]


@pytest.mark.parametrize("name", ["tiny", "lite", "artistic", "stable", "video"])
def test_recipes_that_come_along_are_right(name):
    recipe = read_recipe(TRAINING / f"{name}.toml")
    assert len(recipe.gan) == 1 and recipe.gan[0].threshold >= 0.65
    kinds = [phase.kind for phase in train.phases(recipe)]
    assert list(dict.fromkeys(kinds)) == ["pretrain", "images", "critic", "gan"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cycles = 2", "cycels = 2", "unknown key 'cycels'; known are generator, seed, cycles"),
        ("cycles = 2", "cycles = -1", r"cycles = -1 is not in 0 \.\. 100"),
        ("threshold = 5.0", "threshold = 50", r"gan\.threshold = 50 is not in 0 \.\. 10"),
        ("steps = 3", "steps = 'many'", r"pretrain\[0\]\.steps must be a whole number"),
        ('"lite"', '"light"', "generator.architecture = 'light' is none of 'lite', 'deep'"),
        ("size = 64", "size = 100", "size = 100 is not a multiple of 32"),
        ("[images]\nsize = 64", "[images]", "images.size is missing"),
        ("cycles = 2", "cycles = ", "not a TOML file"),
        ("betas = [0.0, 0.9]", "betas = [0.0, 1.0]", r"betas\[1\] = 1.0 is not in 0 .. 0.999999"),
        ("blocks = 1", "blocks = 4", "size = 64 is too small for a critic with blocks = 4, .* 128"),
        ("steps = 3", "accumulate = 5", "accumulate = 5 splits a batch of 4 into parts without a"),
        (
            "[[critic.first]]",
            "[[critic.first]]\naccumulate = 3",
            "accumulate = 3 splits a batch of",
        ),
        ("rates = [1e-4]", "rates = []", r"rates = \[\]: there must be 1 of them"),
        (
            "decoder = [8, 8, 8]",
            "decoder = [8, 8]",
            r"decoder = \[8, 8\] must hold one number less",
        ),
        ("[8, 8, 8, 8]", "[8]", r"widths = \[8\] must hold 2 to 4 numbers"),
        (
            TINY_LITE,
            'architecture = "deep"\nencoder = "imagenet"\nshrink = 2\n',
            "'imagenet' needs shrink = 1",
        ),
    ],
)
def test_a_recipe_that_is_wrong(tmp_path, old, new, words):
    path = tmp_path / "recipe.toml"
    path.write_text(TINY.read_text().replace(old, new, 1))
    with pytest.raises(RecipeError, match=words) as error:
        read_recipe(path)
    assert str(path) in str(error.value)


def test_a_recipe_without_pretraining(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        "pretrain = []\n"
        + TINY.read_text()
        .replace("[[pretrain]]", "[[critic.first]]")
        .replace("cycles = 2", "cycles = 0")
    )
    with pytest.raises(RecipeError, match="pretrain needs at least one table"):
        read_recipe(path)


def test_photos_from_folders_zips_and_tars(photo_folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        for path in photo_folder.iterdir():
            file.write(path, f"some/{path.name}")
    with tarfile.open(tmp_path / "photos.tar", "w") as file:
        file.add(photo_folder, "some")
    first = load_photos([photo_folder], smallest=32)
    for place in (tmp_path / "photos.zip", tmp_path / "photos.tar"):
        same = load_photos([place], smallest=32)
        assert (len(same), same.gray, same.broken, same.small) == (10, 1, 1, 1)
        same.kept.clear()  # as if memory were short
        assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))


def test_photos_that_cannot_be_used(photo_folder, tmp_path):
    with pytest.raises(RecipeError, match="neither a folder nor a zip or tar"):
        load_photos([tmp_path / "nowhere"], smallest=32)
    with pytest.raises(RecipeError, match="no color photo of 100 pixels"):
        load_photos([photo_folder], smallest=100)
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as file:
        file.add(photo_folder, "some")
    with pytest.raises(RecipeError, match="compressed tar; unpack it"):
        load_photos([tmp_path / "photos.tar.gz"], smallest=32)


def test_too_few_photos_for_a_batch(photos):
    recipe = dataclasses.replace(read_recipe(TINY), images=Images(size=64))
    with pytest.raises(RecipeError, match="3 photos are too few for batches of 4"):
        train.check_enough(recipe, photos.subset([0, 1, 2]))


def test_batches_depend_on_the_step_and_nothing_else(photos):
    def batch(step: int, name: str = "a") -> torch.Tensor:
        return Batches(photos, size=64, batch=4, zoom=1.5, seed=1, name=name).share(step, 0, 1)

    endless = Batches(photos, size=64, batch=4, zoom=1.5, seed=1, name="a")
    row = [endless.share(step, 0, 1) for step in range(5)]
    assert torch.equal(row[4], batch(4))
    assert not torch.equal(row[4], batch(4, "b"))
    halves = [endless.share(7, part, 2) for part in range(2)]
    assert torch.equal(torch.stack(halves, 1).flatten(0, 1), batch(7))


def test_augmentation_moves_both_sides_and_wears_only_the_input(photos):
    crops = Batches(photos, size=64, batch=4, zoom=1, seed=1, name="a").share(0, 0, 1)
    still = augment(crops, Augment(flip=0), torch.Generator().manual_seed(0))
    assert torch.equal(still.input, still.luma)
    moved = augment(
        crops, Augment(flip=0, probability=1, rotate=20, warp=0.2), torch.Generator().manual_seed(0)
    )
    assert torch.equal(moved.input, moved.luma)
    assert not torch.allclose(moved.luma, still.luma, atol=0.05)
    assert not torch.allclose(moved.chroma, still.chroma, atol=0.05)
    degraded = augment(crops, Augment(flip=0, noise=1), torch.Generator().manual_seed(0))
    assert torch.equal(degraded.luma, still.luma) and not torch.equal(degraded.input, still.luma)
    lit = augment(
        crops, Augment(flip=0, probability=1, lighting=0.5), torch.Generator().manual_seed(0)
    )
    assert torch.equal(lit.input, lit.luma) and (lit.luma - still.luma).abs().mean() > 0.02


def test_soft_labels_average_to_the_chroma_that_was_asked_for(photos):
    palette = Palette.of(photos, bins=196)
    # Chroma between four bins that photos do use.
    wanted = (palette.centers[98] * 1.0).view(1, 2, 1, 1)
    bins, weights = palette.soft_labels(wanted)
    mean = (palette.centers[bins[0, :, 0, 0]] * weights[0, :, 0, 0, None]).sum(0)
    torch.testing.assert_close(mean, wanted.flatten(), atol=1e-5, rtol=0)
    assert torch.allclose(weights.sum(1), torch.ones(1, 1, 1))
    again = Palette.around(photos, palette.centers)
    assert torch.equal(again.frequency, palette.frequency)


def test_rare_colors_weigh_more_and_the_mean_is_one(photos):
    palette = Palette.of(photos, bins=50)
    weights = palette.class_weights(0.5)
    assert weights[palette.frequency.argmin()] > weights[palette.frequency.argmax()]
    assert (weights * palette.frequency).sum() == pytest.approx(1)


def test_wear_changes_the_picture_and_keeps_its_range():
    random = torch.Generator().manual_seed(0)
    luma, chroma = torch.rand(8, 1, 32, 32), torch.rand(8, 2, 32, 32) - 0.5
    assert torch.equal(degrade(luma, chroma, 0.0, random), luma)
    degraded = degrade(luma, chroma, 1.0, random)
    assert degraded.shape == luma.shape
    assert degraded.min() >= 0 and degraded.max() <= 1
    assert (degraded - luma).abs().mean() > 0.02


def test_the_curve_turns_where_skin_goes_orange():
    """Truth first gets better with color, then skin spreads while color still grows."""

    def score(step, frechet, gap, skin):
        names = ("step", "frechet", "colorfulness_gap", "skin_gap", "ab_error", "saturated_gap")
        return dict(zip(names, (step, frechet, gap, skin, 10.0, 0.0), strict=True))

    rising = [score(0, 4, -0.4, 0), score(1, 3, -0.3, 0.05), score(2, 2, -0.2, 0.1)]
    assert best_of(rising) == 2 and not has_turned(rising, 2)
    turned = [*rising, score(3, 2.2, -0.1, 0.8), score(4, 2.6, 0.1, 1.5)]
    assert best_of(turned) == 2 and has_turned(turned, 2)


def test_a_whole_run_leaves_a_folder_that_a_person_understands(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"recipe.toml", "log.jsonl", "losses.png", "gan-1.png", "final.safetensors"} <= names
    chosen = Image.open(finished / "samples" / "gan-2-chosen.png")
    assert chosen.size == (3 * 64, 2 * 64)  # two validation photos
    gray = np.asarray(chosen)[:, :64].astype(int)
    assert np.ptp(gray, axis=2).max() == 0 and np.ptp(np.asarray(chosen)[:, 128:], axis=2).max() > 9
    assert load_generator(finished / "final.safetensors").name == "lite"
    scores = [line for line in map(json.loads, (finished / "log.jsonl").open()) if "skin" in line]
    assert {"ab_error", "frechet", "cdc_gap"} <= scores[0].keys()


def test_its_result_colors_a_film(finished, clip, tmp_path):
    model = str(finished / "final.safetensors")
    out = tmp_path / "colored.mp4"
    words = [str(clip), "-o", str(out), "--model", model, "--device", "cpu"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.stderr
    assert out.stat().st_size > 0


def test_a_run_is_not_overwritten(finished, photo_folder):
    result = CliRunner().invoke(command, arguments(photo_folder, finished))
    assert result.exit_code == 1
    assert "add --resume" in result.stderr


def test_phases_must_follow_each_other(photo_folder, tmp_path):
    words = arguments(photo_folder, tmp_path / "run", "--phase", "gan-1")
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 1
    assert "gan-1 needs pretrain-1" in result.stderr
    result = CliRunner().invoke(command, [*words[:-1], "gnu"])
    assert "there is no phase 'gnu'; the recipe has pretrain-1" in result.stderr


KILLED = """
import os, signal, sys
import vidcolor.nogan.run as run
import vidcolor.nogan.train
from vidcolor.cli import main

save = run.Run.save
sys.argv = ["vidcolor", *{arguments!r}]
for fatal in {phases!r}:
    def save_and_die(self, phase, *rest, **more):
        save(self, phase, *rest, **more)
        if phase == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    child = os.fork()  # torch is loaded once and has begun nothing
    if not child:
        run.Run.save = save_and_die
        main()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, fatal
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.slow
def test_a_run_that_was_killed_ends_like_one_that_was_not(finished, photo_folder, clips, tmp_path):
    """One kill in each kind of phase; every process gets one checkpoint further at least."""
    out = tmp_path / "run"
    words = arguments(photo_folder, out, *clips, "--resume")
    code = KILLED.format(arguments=words, phases=("pretrain-2", "critic-1-1", "gan-1"))
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert (out / "checkpoints" / "gan-1.partial.pt").exists()
    # Pictures: killed in the middle of images-2, as if two were missing.
    for phase in ("gan-1", "images-2"):
        result = CliRunner().invoke(command, [*words, "--phase", phase])
        assert result.exit_code == 0, result.stderr
    (out / "checkpoints" / "images-2.pt").unlink()
    (out / "images-2" / "generated" / "0000003.png").unlink()
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.stderr
    ours, whole = load_file(out / "final.safetensors"), load_file(finished / "final.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in whole.items())
    assert (out / "log.jsonl").read_text() == (finished / "log.jsonl").read_text()


@pytest.mark.parametrize("name", ["artistic", "video"])
def test_published_recipes_run_at_a_reduced_size(name, photos, tmp_path, monkeypatch):
    """All phases with narrow networks, two steps each and no VGG to be had; the result loads."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(imagenet, "ORIGIN", "http://127.0.0.1:9/")
    monkeypatch.setitem(imagenet.FILES, "vgg", "no-vgg-0.pth")
    recipe = read_recipe(TRAINING / f"{name}.toml")
    assert recipe.critic and recipe.gan
    small = {"steps": 2, "size": 64, "batch": 2}
    recipe = dataclasses.replace(
        recipe,
        cycles=1,
        score_photos=2,
        generator=dataclasses.replace(recipe.generator, encoder="random", shrink=32),
        content=dataclasses.replace(recipe.content, fallback="critic"),
        pretrain=tuple(dataclasses.replace(s, **small) for s in recipe.pretrain[-1:]),
        images=Images(size=64, batch=2, keep=0.2),
        critic=DeOldifyCriticSettings(
            width=8,
            blocks=1,
            augment=recipe.critic.augment,
            stages=tuple(dataclasses.replace(s, **small) for s in recipe.critic.stages),
        ),
        gan=(dataclasses.replace(recipe.gan[0], **small, threshold=10.0),),
    )
    run = Run.open(tmp_path / name, TRAINING / f"{name}.toml", CPU, resume=False)
    final = train.train(recipe, photos, photos.subset([0, 1]), run)
    assert final is not None
    network = load_generator(final)
    assert network.name == ("deep" if name == "artistic" else "wide")
    assert torch.isfinite(network(torch.rand(1, 3, 64, 64))).all()


def test_dry_run_shows_the_plan_and_does_nothing(photo_folder, tmp_path):
    out = tmp_path / "run"
    result = CliRunner().invoke(command, arguments(photo_folder, out, "--dry-run"))
    assert result.exit_code == 0, result.stderr
    for phase in train.phases(read_recipe(TINY)):
        assert phase.name in result.stderr
    assert "rough estimate" in result.stderr
    assert not out.exists()


TOGETHER = """
import dataclasses, sys, torch
from pathlib import Path
from vidcolor.nogan import train
from vidcolor.nogan.distributed import join_processes
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.recipe import Augment, read_recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.settings import Augment, Images

recipe_file, photos, out, accumulate = sys.argv[1:]
context = join_processes("cpu", "fp32")
recipe = read_recipe(Path(recipe_file))
stage = dataclasses.replace(recipe.pretrain[0], accumulate=int(accumulate), steps=2)
critic = dataclasses.replace(recipe.critic, dropout=0.0, augment=Augment(flip=0), first=())
recipe = dataclasses.replace(recipe, cycles=1, pretrain=(stage,), critic=critic)
photos = load_photos([Path(photos)], smallest=32)
run = Run.open(Path(out), Path(recipe_file), context, resume=False)
train.train(recipe, photos, photos.subset([0, 1]), run)
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(photo_folder, tmp_path, monkeypatch):
    """Over gloo, each with half of the batch, against one with all of it.

    Batch norm counts each process's half by itself, and its running means are the first one's; so
    the generator is compared with one that takes the halves in turn, and by its weights alone.
    The critic, which has no batch norm, sees its whole batch at once.
    """
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    pair = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [str(script), str(TINY), str(photo_folder)]
    done = subprocess.run(
        [*pair, *words, str(tmp_path / "two"), "1"],
        env=os.environ | {"PYTHONPATH": str(TRAINING.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    # The critic of both is given the same pictures.
    shutil.copytree(tmp_path / "two" / "images-1", tmp_path / "one" / "images-1")
    monkeypatch.setattr(sys, "argv", [*words, str(tmp_path / "one"), "2"])
    runpy.run_path(str(script))
    for phase, part in (("pretrain-1", "generator"), ("critic-1-1", "critic")):
        two, one = (
            torch.load(tmp_path / out / "checkpoints" / f"{phase}.pt", weights_only=True)[part]
            for out in ("two", "one")
        )
        two, one = (state.get("network", state) for state in (two, one))
        for name in (name for name in one if name.endswith("weight") or "original" in name):
            torch.testing.assert_close(two[name], one[name], atol=2e-4, rtol=0, msg=name)
