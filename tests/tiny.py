"""Small networks with made-up weights and their answers (see make_tiny.py)."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

PATH = Path(__file__).parent / "frozen" / "tiny.safetensors"
GENERATORS = ("deep", "wide")


def tensors(name: str) -> dict[str, Tensor]:
    """The checkpoint of "deep", "wide" or "critic" as DeOldify would save it."""
    return {
        key.removeprefix(f"{name}/"): tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in load_file(PATH).items()
        if key.startswith(f"{name}/")
    }


def save(path: Path, content: Any, *, legacy: bool = False) -> Path:
    """Write a checkpoint with torch, in its newer or in its older format."""
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def question(size: int) -> Tensor:
    """A picture (1, 3, size, size): slanted waves, in numbers that no machine has to round."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    channels = [((3 * x + 2 * y + 5 * c) % 64 - 32).abs() / 16 - 1 for c in range(3)]
    return torch.stack(channels)[None]


def answer(name: str, size: int) -> Tensor:
    """What the network must say to it."""
    return load_file(PATH)[f"{name}_out_{size}"]
