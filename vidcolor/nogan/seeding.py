"""Randomness that is a function of its place in the training, so that nothing has to be saved."""

import hashlib

import numpy as np
import torch


def seed_of(*place: int | str) -> int:
    """A 63-bit seed for a place in the training, such as (seed, phase, step)."""
    digest = hashlib.blake2b(repr(place).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_random(*place: int | str) -> np.random.Generator:
    return np.random.default_rng(seed_of(*place))


def torch_random(device: torch.device, *place: int | str) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed_of(*place))
