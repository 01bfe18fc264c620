"""The shape of `lite` on a MobileNet: limits, hints, files, and going on from a file."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.utils.flop_counter import FlopCounterMode

from vidcolor.errors import RecipeError, WeightsError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.models.lite_mobile import MobileLite, MobileShape
from vidcolor.nogan.export import finish, save_network, unfinish
from vidcolor.nogan.lite_trainer import LiteSettings
from vidcolor.nogan.mobilenet import load_mobilenet
from vidcolor.weights.checkpoint import load_generator, load_trainable

SMALL = MobileShape(skips=(8, 8, 0), decoder=(8, 8, 8), context=8, hints=(8, 8, 8, 8), bins=5)
ENCODER = Path(__file__).parents[2] / "shared/weights/mobilenet_v1_1.0_224.safetensors"


def trained(shape: MobileShape = SMALL) -> MobileLite:
    """Random weights, and norms that have seen something."""
    torch.manual_seed(1)
    network = MobileLite(shape, norm=True)
    network.palette.uniform_(-0.4, 0.4)
    with torch.no_grad():
        for _ in range(3):
            network.logits(torch.rand(4, 1, 64, 64))
    return network.eval()


def test_the_largest_that_may_ship_keeps_the_limits():
    network = MobileLite(MobileShape())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters <= 8e6
    assert 2 * parameters <= 16e6
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 256, 256))
    assert counter.get_total_flops() <= 6e9


def test_folded_norms_change_nothing():
    network = trained()
    luma = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(network.folded()(luma), network(luma), atol=1e-5, rtol=1e-4)


def test_a_file_gives_the_network_back_without_norms(tmp_path):
    network = trained()
    save_network(network, tmp_path / "lite.safetensors", {})
    generator = load_generator(tmp_path / "lite.safetensors")
    assert generator.name == "lite"
    assert not any("norm" in name for name in generator.state_dict())
    luma = torch.rand(1, 1, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(generator(luma), network(luma), atol=2e-3, rtol=0)


def test_a_finished_file_can_go_on_learning(tmp_path):
    settings = LiteSettings(
        architecture="lite", prior_correction=0.5, temperature=0.8, chroma_gain=1.6
    )
    network = trained()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    undo = finish(network, settings, torch.tensor([0.5, 1, 2, 4, 3.0]))
    save_network(network, tmp_path / "lite.safetensors", undo)
    again, metadata = load_trainable(tmp_path / "lite.safetensors")
    assert not torch.allclose(again.state_dict()["head.bias"], before["head.bias"])
    undone = unfinish(again.state_dict(), metadata)
    for name in ("head.bias", "palette", "sharpness", "stem.norm.running_var"):
        torch.testing.assert_close(undone[name], before[name], atol=1e-3, rtol=1e-3)


def test_a_shape_that_is_not_known_is_refused(tmp_path):
    path = tmp_path / "lite.safetensors"
    save_network(trained(), path, {"shape": json.dumps({"encoder": "mobilenet-v9"})})
    with pytest.raises(WeightsError, match="mobilenet-v9"):
        load_generator(path)


def test_empty_hints_are_no_hints():
    network = trained().folded()
    luma = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        plain, empty = network(luma), network(luma, torch.zeros(2, 3, 16, 16))
    assert torch.equal(plain, empty)


def test_without_hints_nothing_is_computed_for_them():
    network = MobileLite(MobileShape())
    with FlopCounterMode(display=False) as plain:
        network(torch.zeros(1, 1, 64, 64))
    with FlopCounterMode(display=False) as hinted:
        network(torch.zeros(1, 1, 64, 64), torch.zeros(1, 3, 16, 16))
    assert hinted.get_total_flops() > plain.get_total_flops()
    assert not any("hints" in name for name in plain.get_flop_counts())


def test_hints_change_colors_near_them():
    colorizer = Colorizer(trained().folded(), device="cpu")
    luma = torch.full((1, 1, 64, 64), 128, dtype=torch.uint8)
    hints = torch.zeros(1, 3, 64, 64)
    hints[:, :, 20:27, 20:27] = torch.tensor([0.3, -0.2, 1.0])[:, None, None]
    assert not torch.equal(colorizer.chroma(luma), colorizer.chroma(luma, hints))


def test_an_encoder_of_another_kind_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    network = MobileLite(SMALL, norm=True)
    with pytest.raises(RecipeError, match="not a MobileNet"):
        load_mobilenet(network, tmp_path / "other.safetensors")
    with pytest.raises(RecipeError, match="cannot read the encoder"):
        load_mobilenet(network, tmp_path / "missing.safetensors")


@pytest.mark.skipif(not ENCODER.exists(), reason=f"{ENCODER} is not here")
def test_the_encoder_sees_luma_as_it_saw_gray_pictures():
    network = MobileLite(SMALL, norm=True).eval()
    load_mobilenet(network, ENCODER)
    with safe_open(ENCODER, "pt") as file:
        weight = file.get_tensor("conv1.weight")
    gray = torch.rand(1, 1, 8, 8)
    rgb = torch.nn.functional.conv2d(gray.expand(-1, 3, -1, -1), weight, None, 2, 1)
    torch.testing.assert_close(network.stem.conv(gray), rgb, atol=1e-5, rtol=1e-4)
