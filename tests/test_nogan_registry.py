"""A network is all that its trainer says: one that is registered here trains from a recipe."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.cli import vidcolor as command
from vidcolor.errors import RecipeError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.models import registry as models
from vidcolor.models.imagenet import normalize
from vidcolor.models.network import ChromaGenerator
from vidcolor.nogan import registry
from vidcolor.nogan.export import save_network
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.recipe import read_recipe

NOGAN = Path(registry.__file__).parent


class Faint(ChromaGenerator):
    """A network that nobody has heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.faint = nn.Conv2d(1, 2, 3, padding=1)

    @property
    def name(self):
        return "faint"

    @property
    def live_channels(self):
        return 4

    @property
    def default_render_factor(self):
        return 4

    @classmethod
    def matches(cls, tensors, metadata):
        return "faint.weight" in tensors

    @classmethod
    def empty(cls, tensors, metadata):
        return cls()

    def input_size(self, render_size, width, height):
        return render_size, render_size

    def chroma(self, luma, hints=None):
        return self(luma.to(self.dtype)).float()

    def forward(self, luma: Tensor) -> Tensor:
        return torch.tanh(self.faint(luma)) / 2


class FaintTrainer(GeneratorTrainer[Faint]):
    @classmethod
    def new_network(cls, settings):
        return Faint()

    @classmethod
    def run_network(cls, network, luma):
        return network(luma)

    @classmethod
    def begin(cls, settings, content, context, *, photos, run, start):
        trainer = cls(settings, content, context)
        trainer.set_network(cls.new_network(settings))
        return trainer

    def generate(self, luma, *, hints=None, network=None):
        return (network or self.network)(luma)

    def loss(self, answer, sample):
        return F.l1_loss(answer, sample.chroma)

    def picture(self, answer, sample):
        return normalize(matrices.merge(sample.luma, answer))

    def photo(self, sample):
        return normalize(sample.rgb())

    def export(self, path, metadata):
        save_network(self.ema, path, metadata)


RECIPE = """
checkpoint_every = 1
score_photos = 4
[generator]
architecture = "faint"
[[pretrain]]
steps = 2
size = 64
batch = 2
rates = [1e-3]
score_every = 1
[images]
size = 64
[critic]
width = 8
blocks = 1
[[critic.stages]]
steps = 2
size = 64
batch = 2
rates = [1e-3]
[gan]
steps = 4
size = 64
batch = 2
rates = [1e-3]
threshold = 5.0
score_every = 2
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "faint.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(registry.TRAINERS, "faint", FaintTrainer)
    monkeypatch.setattr(models, "NETWORKS", (Faint, *models.NETWORKS))


def test_a_registered_network_is_planned_trained_and_used(
    registered, recipe, photo_folder, tmp_path
):
    words = ["train", str(recipe), "--data", str(photo_folder), "--out", str(tmp_path / "run")]
    words += ["--device", "cpu", "--precision", "fp32"]
    for more in (["--dry-run"], []):
        result = CliRunner().invoke(command, [*words, *more])
        assert result.exit_code == 0, result.output
    final = tmp_path / "run" / "final.safetensors"
    again = [*words[:5], str(tmp_path / "again"), *words[6:], "--start", str(final)]
    result = CliRunner().invoke(command, again)
    assert result.exit_code == 0, result.output
    colorizer = Colorizer.load(final, device="cpu")
    luma = torch.full((1, 1, 64, 64), 100, dtype=torch.uint8)
    assert colorizer.name == "faint"
    assert colorizer.chroma(luma).abs().max() > 0


def test_a_network_that_is_not_registered(recipe):
    with pytest.raises(RecipeError, match=r"architecture = .faint. is none of .lite."):
        read_recipe(recipe)


def test_training_asks_a_network_and_not_its_name():
    """No comparison of an architecture's name, and no isinstance of a network or trainer."""
    networks = {network.__name__ for network in models.NETWORKS} | {"Lite"}
    trainers = {trainer.__name__ for trainer in registry.TRAINERS.values()}
    names = {*registry.TRAINERS, *registry.CRITICS}
    for path in sorted(NOGAN.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
                kinds = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                assert not kinds & (networks | trainers), where
            if isinstance(node, ast.Compare):
                inside = list(ast.walk(node))
                asked = {n.attr for n in inside if isinstance(n, ast.Attribute)}
                said = {n.value for n in inside if isinstance(n, ast.Constant)}
                assert "architecture" not in asked and not said & names, where
