"""Random numbers as a function of seed, phase and step, so that no generator state is saved."""

import hashlib
from typing import NamedTuple

import numpy as np
import torch


class StepKey(NamedTuple):
    """Identifies a step of a training."""

    seed: int
    """The recipe's."""
    phase: str
    step: int


def seed_of(*key: int | str) -> int:
    """A 63-bit seed for a key such as (seed, phase, step)."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_random(*key: int | str) -> np.random.Generator:
    return np.random.default_rng(seed_of(*key))


def torch_random(device: torch.device, *key: int | str) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed_of(*key))
