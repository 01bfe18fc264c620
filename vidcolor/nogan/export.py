"""Finished networks: corrections put into the weights, and the file that `--model` takes."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from vidcolor.models.lite import Lite, ResidualLite
from vidcolor.models.lite_mobile import MobileLite
from vidcolor.models.unet import UNet
from vidcolor.nogan import recipe


@torch.no_grad()
def finish(
    network: MobileLite | ResidualLite, settings: recipe.Generator, class_weights: Tensor
) -> dict[str, str]:
    """Put the recipe's prior correction, temperature and chroma gain into the weights.

    Returns the metadata that `unfinish` needs.
    """
    assert network.head.bias is not None
    correction = settings.prior_correction * class_weights.log()
    network.head.bias.sub_(correction)
    network.sharpness.fill_(1 / settings.temperature)
    network.palette.mul_(settings.chroma_gain)
    if isinstance(network, MobileLite):
        network.hint_scale.div_(settings.chroma_gain)
    return {"finish": json.dumps({"bias": correction.tolist(), "gain": settings.chroma_gain})}


@torch.no_grad()
def unfinish(network: MobileLite, metadata: dict[str, str]) -> None:
    """Take back what `finish` did, so that training can continue. KeyError if unknown."""
    done = json.loads(metadata["finish"])
    assert network.head.bias is not None
    network.head.bias.add_(torch.tensor(done["bias"]))
    network.sharpness.fill_(1)
    network.palette.div_(done["gain"])
    network.hint_scale.mul_(done["gain"])


def save_network(network: Lite | UNet, path: Path, metadata: dict[str, str]) -> None:
    """Write safetensors, in half precision.

    A vector takes no room and stays as it is: norms' variances leave the range of half precision.
    """
    exact = isinstance(network, MobileLite)
    tensors = {
        key: value.half().contiguous()
        if value.dtype.is_floating_point and not (exact and value.ndim < 2)
        else value.contiguous()
        for key, value in network.state_dict().items()
    }
    save_file(tensors, path, {**network.metadata, **metadata})
