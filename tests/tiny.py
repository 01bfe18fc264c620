"""Small networks with made-up weights and their answers (see make_tiny.py)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

PATH = Path(__file__).parent / "frozen" / "tiny.safetensors"
STILLS = PATH.with_name("stills.safetensors")
GENERATORS = ("deep", "wide")
RENDER_FACTORS = (4, 5)
"""Of the stills; the side of the second square is no multiple of 32."""


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


def picture() -> np.ndarray:
    """A colored still (52, 70, 3) uint8: waves of three lengths, steep edges, and a gray corner."""
    y, x = np.mgrid[:52, :70]
    red, green, blue = (7 * x + 2 * y) % 256, (3 * x * y // 16) % 256, (255 - 5 * y + x) % 256
    rgb = np.stack([red, green, blue], axis=2).astype(np.uint8)
    rgb[30:, 48:] = (4 * x[30:, 48:, None] % 256).astype(np.uint8)
    return rgb


def step(name: str, render_factor: int, step: str) -> np.ndarray:
    """What `name` must make of `picture()`: its "square", "painted" or "final"."""
    return load_file(STILLS)[f"{name}_{render_factor}_{step}"].numpy()
