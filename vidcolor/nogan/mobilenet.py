"""Puts the weights of an ImageNet encoder into `lite`.

The file is a safetensors of Keras' MobileNet v1 1.0 (TensorFlow's, Apache-2.0): `conv1.weight`,
`conv_dw_1.weight`, `conv_pw_1.weight` ..., and `_bn` with weight, bias, running_mean and
running_var beside each. docs/training.md says where it is published.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidcolor.errors import RecipeError
from vidcolor.models.lite_mobile import MobileLite, Unit


@torch.no_grad()
def load_mobilenet(network: MobileLite, path: Path) -> None:
    """Fill the encoder of a network that has its norms.

    Luma stands for each of the three colors of the file's network. Raises RecipeError where
    the file cannot be read or is another network's.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RecipeError(
            f"cannot read the encoder {path} ({error}); see docs/training.md for where it is "
            'published, or set encoder = "random"'
        ) from error
    try:
        _fill(network.stem, weights, "conv1")
        for number, block in enumerate(network.blocks, 1):
            _fill(block.get_submodule("depthwise"), weights, f"conv_dw_{number}")
            _fill(block.get_submodule("pointwise"), weights, f"conv_pw_{number}")
    except (KeyError, RuntimeError) as error:
        raise RecipeError(f"{path} is not a MobileNet v1 1.0: {error}") from error


def _fill(unit: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    assert isinstance(unit, Unit) and isinstance(unit.norm, nn.BatchNorm2d)
    weight = weights[f"{name}.weight"]
    if unit.conv.in_channels == 1:
        weight = weight.sum(1, keepdim=True)
    unit.conv.weight.copy_(weight)
    for part in ("weight", "bias", "running_mean", "running_var"):
        getattr(unit.norm, part).copy_(weights[f"{name}_bn.{part}"])
