"""Checkpoint files: read safely, recognized by their tensors, made a network that can run."""

from __future__ import annotations

import os
import pickle
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidcolor.errors import WeightsError
from vidcolor.models.critic import Critic
from vidcolor.models.network import Generator, Network
from vidcolor.models.registry import recognize
from vidcolor.weights.check import is_html
from vidcolor.weights.deoldify import fold_norms, rename

LARGEST_NUMBER = 1e8
"""No weight of a trained network comes close to this; fp32 overflows soon above it."""

MOST_TENSORS = 2_000
"""In a safetensors file; the largest network that is known has about 700."""


def load_generator(path: str | os.PathLike[str]) -> Generator:
    """Build the generator that a checkpoint holds, ready for inference.

    path: a `.pth` file as DeOldify publishes or saves it (bare or {model, opt}, old or new format,
    from any device), or a `.safetensors` file. The network comes in float32 on the CPU, in eval
    mode, without gradients, its norms folded; its `name` is "deep", "wide" or "lite".
    Raises WeightsError if the file cannot be read or is not a generator's.
    """
    return _generator(_load(Path(path)).network, Path(path))


def load_critic(path: Path) -> Critic:
    """Build the critic that a checkpoint holds; otherwise as `load_generator`."""
    network = _load(path).network
    if not isinstance(network, Critic):
        raise WeightsError(f"{path} is a generator ({network.name}); give a critic's checkpoint")
    return network


def load_trainable(path: Path) -> tuple[Generator, dict[str, str]]:
    """A generator with all that training needs, such as norms, and the file's metadata.

    Raises as `load_generator` does.
    """
    network, metadata = _load(path, fold=False)
    return _generator(network, path), metadata


def _generator(network: Network, path: Path) -> Generator:
    if not isinstance(network, Generator):
        raise WeightsError(
            f"{path} is a critic, which makes no colors; give a generator's checkpoint"
        )
    return network


class _Checkpoint(NamedTuple):
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


class _Loaded(NamedTuple):
    network: Network
    metadata: dict[str, str]


def _load(path: Path, *, fold: bool = True) -> _Loaded:
    """fold: as for inference, not with all that training needs."""
    tensors, metadata = _read(path)
    try:
        _check(tensors)
        fold_norms(tensors)
        network = _build(rename(tensors), metadata)
        network = network.for_inference() if fold else network
        _check_numbers(network)
    except KeyError as error:
        raise WeightsError(
            f"cannot use {path}: it lacks {error.args[0]}; fetch it again"
        ) from error
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise WeightsError(f"cannot use {path}: {problem}") from error
    return _Loaded(network.eval().requires_grad_(False), metadata)


def _build(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Network:
    """The network that the tensors belong to, filled with them."""
    network = recognize(tensors, metadata)
    expected = network.state_dict()
    _refuse("lacks", expected.keys() - tensors.keys())
    _refuse("has the unknown", tensors.keys() - expected.keys())
    _refuse(
        "has a wrong shape for",
        {name for name, tensor in tensors.items() if tensor.shape != expected[name].shape},
    )
    tensors = {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}
    network.load_state_dict(tensors, assign=True)
    return network


def _check(tensors: dict[str, Tensor]) -> None:
    """Raises ValueError for tensors that no network has, before anything is computed with them."""
    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_nested)
        if not plain or tensor.is_complex() or tensor.is_meta:
            raise ValueError(f"{name} is not a plain tensor; save the network's state_dict again")
        if not tensor.numel():
            raise ValueError(f"{name} is empty; fetch it again")
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.itemsize:
            raise ValueError(f"{name} claims more numbers than the file has; fetch it again")


def _check_numbers(network: Network) -> None:
    """Raises ValueError for numbers that lead to no colors."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.abs().amax() <= LARGEST_NUMBER:
            wrong = "that are absurdly large" if tensor.isfinite().all() else "that are not finite"
            raise ValueError(f"{name} holds numbers {wrong}; fetch it again")


def _refuse(problem: str, names: set[str]) -> None:
    if names:
        first, *others = sorted(names)
        more = f" and {len(others)} more" if others else ""
        raise ValueError(f"it {problem} {first}{more}; fetch it again")


def _read(path: Path) -> _Checkpoint:
    """Read every tensor of the file by the name it has there."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except IsADirectoryError as error:
        raise WeightsError(f"{path} is a folder; give the checkpoint file inside it") from error
    except OSError as error:
        raise WeightsError(f"cannot read {path} ({error.strerror}); check the name") from error
    if is_html(head):
        raise WeightsError(
            f"{path} is a web page, not a checkpoint: the download was turned away; "
            "fetch the file again"
        )
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    return _Checkpoint(_read_pickle(path), {})


def _read_safetensors(path: Path) -> _Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            if len(file.keys()) > MOST_TENSORS:
                raise WeightsError(f"{path} holds more tensors than any network; fetch it again")
            # Copied: what lies in the mapped file is not aligned for fast arithmetic.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return _Checkpoint(tensors, file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged or cut short ({error}); fetch it again") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        # Published DeOldify files may hold the harmless `slice` beside their tensors.
        with torch.serialization.safe_globals([slice]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on files that it then refuses
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if wanted := re.search(r"GLOBAL (\S+)", str(error)):
            raise WeightsError(
                f"{path} would run {wanted[1]} when loaded, which weights never need; "
                "fetch it from where the model is published, or save its state_dict alone"
            ) from error
        raise WeightsError(f"{path} is not a checkpoint, or damaged; fetch it again") from error
    except Exception as error:  # torch raises whatever the broken bytes lead to
        raise WeightsError(f"{path} is not a checkpoint, or cut short; fetch it again") from error
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]  # saved together with its optimizer
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise WeightsError(f"{path} holds no network's tensors; give a checkpoint of weights")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}
