"""Finished networks: corrections put into the weights, and the file that `--model` takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from vidcolor.models.bins import BinGenerator
from vidcolor.models.network import Generator

if TYPE_CHECKING:
    from vidcolor.nogan.bins_trainer import BinsSettings


@torch.no_grad()
def finish(network: BinGenerator, settings: BinsSettings, class_weights: Tensor) -> dict[str, str]:
    """Put the recipe's prior correction, temperature and chroma gain into the weights.

    Returns the metadata that `unfinish` needs.
    """
    assert network.head.bias is not None
    correction = settings.prior_correction * class_weights.log()
    network.head.bias.sub_(correction)
    network.sharpness.fill_(1 / settings.temperature)
    network.palette.mul_(settings.chroma_gain)
    network.divide_hints(settings.chroma_gain)
    return {"finish": json.dumps({"bias": correction.tolist(), "gain": settings.chroma_gain})}


def unfinish(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, Tensor]:
    """Take back what `finish` did, so that training can continue. KeyError if unknown."""
    done = json.loads(metadata["finish"])
    changed = {
        "head.bias": state["head.bias"] + torch.tensor(done["bias"]),
        "sharpness": torch.ones_like(state["sharpness"]),
        "palette": state["palette"] / done["gain"],
    }
    if "hint_scale" in state:
        changed["hint_scale"] = state["hint_scale"] * done["gain"]
    return {**state, **changed}


def save_network(network: Generator, path: Path, metadata: dict[str, str]) -> None:
    """Write safetensors, in half precision.

    Where the network says so, vectors stay as they are, which takes no room: norms' variances
    leave the range of half precision.
    """
    tensors = {
        key: value.half().contiguous()
        if value.dtype.is_floating_point and not (network.exact_vectors and value.ndim < 2)
        else value.contiguous()
        for key, value in network.state_dict().items()
    }
    save_file(tensors, path, {**network.metadata, **metadata})
