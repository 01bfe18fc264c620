"""Every public case of the oracle: numbers that the original DeOldify gave for made-up weights.

`pytest -s tests/test_oracle.py` prints how close we are. Tolerances are the oracle's own.
"""

import importlib.util
import json
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from parity import close, exact
from PIL import Image

from vidcolor.arrays import colorize_array
from vidcolor.models.unet import UNet
from vidcolor.weights.checkpoint import load_critic, load_generator

ORACLE = Path(__file__).parents[2] / "shared" / "oracle"

pytestmark = pytest.mark.skipif(
    not ORACLE.is_dir(), reason=f"there is no oracle in {ORACLE}, only its frozen extract is tested"
)


def write_checkpoint(name: str, path: Path, *, legacy: bool = False, wrapped: bool = False) -> None:
    """The oracle's weights with seed 1, in one of the forms that DeOldify's files have."""
    spec = importlib.util.spec_from_file_location(
        "make_weights", ORACLE / "tools" / "make_weights.py"
    )
    assert spec and spec.loader
    make_weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_weights)
    manifest = json.loads((ORACLE / "manifests" / f"{name}.json").read_text())
    tensors = {
        key: torch.from_numpy(array) for key, array in make_weights.generate(manifest, 1).items()
    }
    content = {"model": tensors, "opt": {"state": {}, "param_groups": []}} if wrapped else tensors
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


@pytest.fixture(params=["deep", pytest.param("wide", marks=pytest.mark.slow)])
def generator(request) -> UNet:
    return made_up(request.param)


@lru_cache(maxsize=1)  # a fixture of the module would be made anew where tests run in parallel
def made_up(name: str) -> UNet:
    """The network of that name with the oracle's weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.pth"
        write_checkpoint(name, path, legacy=name == "deep")
        network = load_generator(path)
    assert isinstance(network, UNet)
    assert network.name == name
    return network


@pytest.fixture
def oracle(generator):
    return np.load(ORACLE / "public" / f"{generator.name}_s1.npz")


@pytest.mark.parametrize("size", [64, 80, 96])
def test_generator(size, generator, oracle):
    with torch.inference_mode():
        got = generator(torch.from_numpy(oracle[f"raw_in_{size}"])).numpy()
    close(f"{generator.name} {size}", got, oracle[f"raw_out_{size}"], 1e-4)


@pytest.mark.parametrize("case", ["A_rf6", "A_rf10", "B_rf6", "B_rf7", "B_rf10"])
def test_still(case, generator, oracle):
    image, render_factor = case.split("_rf")
    colorizer = exact(generator, int(render_factor))
    rgb = oracle[f"img_{image}"]
    final = colorize_array(rgb, colorizer, edges="bilinear")
    painted = colorizer.painted[0].movedim(0, 2).numpy()
    height, width, _ = rgb.shape
    raw = Image.fromarray(painted).resize((width, height), Image.Resampling.BILINEAR)

    name = f"{generator.name} {case}"
    gray = np.repeat(colorizer.gray[0].movedim(0, 2).numpy(), 3, axis=2)
    close(f"{name} gray square", gray, oracle[f"{case}_square_in"], 0, 0)
    close(f"{name} output", colorizer.output.numpy(), oracle[f"{case}_model_out"], 1e-4)
    close(f"{name} square", painted, oracle[f"{case}_square_out"], 1, 1e-3)
    close(f"{name} raw", np.asarray(raw), oracle[f"{case}_raw"], 1, 1e-3)
    close(f"{name} final", final, oracle[f"{case}_final"], 3, 1e-3)


@pytest.mark.slow
def test_critic(tmp_path):
    write_checkpoint("critic", tmp_path / "critic.pth", legacy=True, wrapped=True)
    critic = load_critic(tmp_path / "critic.pth")
    (tmp_path / "critic.pth").unlink()
    oracle = np.load(ORACLE / "public" / "critic_s1.npz")
    for size in (128, 192):
        with torch.inference_mode():
            got = critic(torch.from_numpy(oracle[f"critic_in_{size}"])).numpy()
        want = oracle[f"critic_out_{size}"]
        close(f"critic {size}", got.reshape(want.shape), want, 1e-5)
