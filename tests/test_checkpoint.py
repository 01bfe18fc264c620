"""Checkpoint files in every form, and one line for everything that is none."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor.models.lite import LiteShape, ResidualLite
from vidcolor.weights.checkpoint import load_critic, load_generator
from vidcolor.weights.deoldify import fold_norms


def save_safetensors(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, path)
    return path


def trained(tensors: dict[str, Tensor]) -> dict:
    """As DeOldify saves during training: the optimizer's state beside the weights."""
    optimizer = torch.optim.Adam([nn.Parameter(torch.ones(3))])
    return {"model": tensors, "opt": {**optimizer.state_dict(), "lr": slice(1e-5, 1e-3)}}


FORMS = {
    "bare": lambda path, tensors: tiny.save(path, tensors),
    "bare, legacy": lambda path, tensors: tiny.save(path, tensors, legacy=True),
    "wrapped": lambda path, tensors: tiny.save(path, trained(tensors)),
    "wrapped, legacy": lambda path, tensors: tiny.save(path, trained(tensors), legacy=True),
    "DataParallel": lambda path, tensors: tiny.save(
        path, {f"module.{key}": tensor for key, tensor in tensors.items()}
    ),
    "safetensors": lambda path, tensors: save_safetensors(
        path.with_suffix(".safetensors"), tensors
    ),
    "our names": lambda path, tensors: save_safetensors(
        path.with_suffix(".safetensors"), load_generator(tiny.save(path, tensors)).state_dict()
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", tiny.GENERATORS)
def test_every_form_gives_the_same_generator(form, name, tmp_path):
    path = FORMS[form](tmp_path / "weights.pth", tiny.tensors(name))
    before = hashlib.sha256(path.read_bytes()).digest()
    generator = load_generator(path)
    again = load_generator(tiny.save(tmp_path / "again.pth", tiny.tensors(name)))

    assert generator.name == name
    assert not generator.training
    assert all(not p.requires_grad and p.device.type == "cpu" for p in generator.parameters())
    assert torch.equal(generator(tiny.question(48)), again(tiny.question(48)))
    torch.testing.assert_close(
        generator(tiny.question(48)), tiny.answer(name, 48), atol=1e-4, rtol=0
    )
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_storages_of_a_gpu_come_to_the_cpu(tmp_path):
    """A legacy file tags every storage with its device; here with the one that it was saved on."""
    path = tiny.save(tmp_path / "weights.pth", tiny.tensors("deep"), legacy=True)
    # Pickled, a short string is X, its length in four bytes, and its characters.
    cpu, gpu = b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"
    content = path.read_bytes()
    assert cpu in content
    path.write_bytes(content.replace(cpu, gpu))
    generator = load_generator(path)
    torch.testing.assert_close(
        generator(tiny.question(48)), tiny.answer("deep", 48), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("wrapped", [True, False])
def test_critic(wrapped, tmp_path):
    tensors = tiny.tensors("critic")
    path = tiny.save(tmp_path / "critic.pth", trained(tensors) if wrapped else tensors)
    critic = load_critic(path)
    assert not critic.training
    torch.testing.assert_close(
        critic(tiny.question(96)), tiny.answer("critic", 96), atol=1e-5, rtol=0
    )


def lite_file(
    path: Path, shape: LiteShape, saved: LiteShape | None = None
) -> tuple[Path, ResidualLite]:
    """An exported `lite` with random weights, which says that it has the shape `saved`."""
    torch.manual_seed(1)
    network = ResidualLite(shape).eval()
    network.palette.uniform_(-0.5, 0.5)
    metadata = {"architecture": "lite", "shape": json.dumps(vars(saved or shape))}
    tensors = {key: tensor.half() for key, tensor in network.state_dict().items()}
    save_file(tensors, path, metadata)
    network.load_state_dict(tensors)
    return path, network


SMALL = LiteShape(widths=(8, 8, 16, 16), decoder=(8, 8, 8), bins=5)


def test_lite(tmp_path):
    path, network = lite_file(tmp_path / "lite.safetensors", SMALL)
    generator = load_generator(path)
    assert generator.name == "lite"
    assert {p.dtype for p in generator.parameters()} == {torch.float32}
    luma = torch.linspace(0, 1, 64 * 32).view(1, 1, 64, 32)
    assert torch.equal(generator(luma), network(luma))


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_folding_is_what_torch_does_at_each_forward():
    torch.manual_seed(1)
    spectral = nn.utils.spectral_norm(nn.Conv2d(6, 9, 3)).eval()
    weighted = nn.utils.weight_norm(nn.Conv2d(5, 7, 1)).eval()
    x, y = torch.randn(1, 6, 8, 8), torch.randn(1, 5, 8, 8)
    want = spectral(x), weighted(y)
    tensors = {f"a.{key}": tensor.clone() for key, tensor in spectral.state_dict().items()}
    tensors |= {f"b.{key}": tensor.clone() for key, tensor in weighted.state_dict().items()}
    fold_norms(tensors)
    assert sorted(tensors) == ["a.bias", "a.weight", "b.bias", "b.weight"]
    assert torch.equal(nn.functional.conv2d(x, tensors["a.weight"], tensors["a.bias"]), want[0])
    got = nn.functional.conv2d(y, tensors["b.weight"], tensors["b.bias"])
    torch.testing.assert_close(got, want[1], atol=1e-6, rtol=0)


def without(*keys: str) -> dict[str, Tensor]:
    tensors = tiny.tensors("deep")
    for key in keys:
        del tensors[key]
    return tensors


def with_head(path: Path, change: Callable[[Tensor], Tensor]) -> None:
    """A checkpoint with one changed tensor."""
    tensors = tiny.tensors("deep")
    tensors["layers.11.0.bias"] = change(tensors["layers.11.0.bias"])
    tiny.save(path, tensors)


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def cut_short(path: Path, *, legacy: bool) -> None:
    tiny.save(path, tiny.tensors("deep"), legacy=legacy)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


BAD = {
    "missing file": (lambda path: None, "cannot read"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "empty file": (lambda path: path.write_bytes(b""), "fetch it again"),
    "web page": (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "is a web page"),
    "text": (lambda path: path.write_text("404: not found"), "not a checkpoint"),
    "photo": (
        lambda path: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256))),
        "not a check",
    ),
    "cut short": (lambda path: cut_short(path, legacy=False), "cut short"),
    "cut short, legacy": (lambda path: cut_short(path, legacy=True), "cut short"),
    "whole module": (lambda path: tiny.save(path, nn.Linear(2, 2)), "would run torch.nn"),
    "list": (lambda path: tiny.save(path, [1, 2]), "no network's tensors"),
    "numbers": (lambda path: tiny.save(path, {"epoch": 3}), "no network's tensors"),
    "other network": (lambda path: tiny.save(path, nn.Linear(2, 2).state_dict()), "architecture"),
    "critic": (lambda path: tiny.save(path, tiny.tensors("critic")), "is a critic"),
    "missing tensor": (
        lambda path: tiny.save(path, without("layers.10.layers.0.0.bias")),
        "lacks residual.0.bias; ",
    ),
    "missing tensors": (
        lambda path: tiny.save(path, without("layers.11.0.bias", "layers.1.bias")),
        "lacks head.bias and 1 more; ",
    ),
    "missing norm": (lambda path: tiny.save(path, without("layers.11.0.weight_u")), "weight_u"),
    "missing block": (
        lambda path: tiny.save(path, without("layers.4.conv1.0.weight_orig")),
        "lacks",
    ),
    "unknown tensor": (
        lambda path: tiny.save(path, tiny.tensors("deep") | {"extra.weight": torch.ones(2)}),
        "has the unknown extra.weight",
    ),
    "wrong shape": (
        lambda path: tiny.save(path, tiny.tensors("deep") | {"layers.1.bias": torch.ones(3)}),
        "wrong shape for norm.bias",
    ),
    "sparse tensor": (lambda path: with_head(path, torch.Tensor.to_sparse), "not a plain tensor"),
    "tensor without numbers": (lambda path: with_head(path, lambda x: x.to("meta")), "not a plain"),
    "tensor that is expanded": (
        lambda path: with_head(path, lambda x: torch.ones(1).expand(100_000, 100_000)),
        "more numbers than the file has",
    ),
    "empty tensor": (lambda path: with_head(path, lambda x: x[:0]), "is empty"),
    "NaN": (lambda path: with_head(path, lambda x: x * torch.nan), "head.bias .* not finite"),
    "infinity": (lambda path: with_head(path, lambda x: x / 0), "head.bias .* not finite"),
    "huge numbers": (lambda path: with_head(path, lambda x: x * 0 + 1e30), "absurdly large"),
    "wrong norm": (
        lambda path: tiny.save(
            path, tiny.tensors("deep") | {"layers.11.0.weight_u": torch.ones(5)}
        ),
        "does not fit",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_get_one_line(case, tmp_path):
    make, says = BAD[case]
    path = tmp_path / "weights.pth"
    make(path)
    with pytest.raises(WeightsError, match=says) as error:
        load_generator(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_checkpoint_is_not_run(legacy, tmp_path):
    path = tiny.save(tmp_path / "weights.pth", {"a": Harmful(tmp_path / "harm")}, legacy=legacy)
    with pytest.raises(WeightsError, match="would run"):
        load_generator(path)
    assert not (tmp_path / "harm").exists()


def test_generator_is_no_critic(tmp_path):
    with pytest.raises(WeightsError, match="is a generator \\(wide\\)"):
        load_critic(tiny.save(tmp_path / "weights.pth", tiny.tensors("wide")))


def test_bad_safetensors(tmp_path):
    path, _ = lite_file(tmp_path / "lite.safetensors", SMALL)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="cut short"):
        load_generator(path)
    lite_file(path, SMALL, saved=LiteShape())
    with pytest.raises(WeightsError, match="wrong shape"):
        load_generator(path)
    save_file({"a": torch.ones(2)}, path, {"architecture": "lite", "shape": '{"depth": 3}'})
    with pytest.raises(WeightsError, match="depth"):
        load_generator(path)
    save_file({"a": torch.ones(2)}, path, {"architecture": "lite", "shape": "{"})
    with pytest.raises(WeightsError, match="cannot use"):
        load_generator(path)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({"widths": [100_000] * 4}, "widths is out of range"),
        ({"widths": [8] * 100_000}, "widths is out of range"),
        ({"widths": [1.5] * 4}, "widths is out of range"),
        ({"bins": -1}, "bins is out of range"),
    ],
)
def test_absurd_dimensions_are_refused(shape, says, tmp_path):
    path = tmp_path / "lite.safetensors"
    save_file({"a": torch.ones(2)}, path, {"architecture": "lite", "shape": json.dumps(shape)})
    with pytest.raises(WeightsError, match=says):
        load_generator(path)


def test_a_header_with_absurdly_many_tensors_is_refused(tmp_path):
    """Each would be a layer of a network that takes minutes to build."""
    blocks = {f"encoder.layer1.{i}.conv1.weight": torch.ones(1) for i in range(5000)}
    path = save_safetensors(
        tmp_path / "deep.safetensors", blocks | {"encoder.conv1.weight": torch.ones(1)}
    )
    with pytest.raises(WeightsError, match="more tensors than any network"):
        load_generator(path)
