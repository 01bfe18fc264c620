"""What in one frame is alike what in another, as the encoder of `lite` sees it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma.resize import resize_planes
from vidcolor.errors import WeightsError
from vidcolor.models.lite_mobile import MobileLite
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

# Chosen on color clips (benchmarks/references.py).
RENDER_SIZE = 192
"""Side, in pixels, of the square that has about the area of what the encoder sees."""
TEMPERATURE = 0.05
"""Difference in likeness, of which the largest is 1, that makes one place e times as probable."""
LUMA_WEIGHT = 12.0
"""What a squared difference of luma, in [0, 1], takes from the likeness."""
CHANNELS = 96
"""Of the encoder's channels, as many mixtures are compared: a tenth of the time."""


class Sight(NamedTuple):
    """A frame as the encoder sees it, at a quarter of its input's size."""

    vectors: Tensor
    """(places, channels) of length 1."""
    luma: Tensor
    """(places,) in [0, 1]."""
    size: tuple[int, int]
    """(h, w): how the places lie."""

    def scores(self, there: Sight, places: Tensor | slice = slice(None)) -> Tensor:
        """(places here, places there): how alike they are, up to 1."""
        vectors, luma = there.vectors[places], there.luma[places]
        # One product: -(a - b)^2 = 2ab - a^2 - b^2.
        weight = LUMA_WEIGHT * luma
        keys = torch.cat([vectors, 2 * weight[:, None], -(weight * luma)[:, None]], 1)
        own = torch.cat([self.vectors, self.luma[:, None], torch.ones(len(self.luma), 1)], 1)
        return (own @ keys.T).sub_((LUMA_WEIGHT * self.luma * self.luma)[:, None])


class Memory(NamedTuple):
    """Values that are known at the places of a frame."""

    sight: Sight
    values: Tensor
    """(places, c)."""
    weights: Tensor
    """(places,) in [0, 1]: 0 where nothing is known."""


class Match(NamedTuple):
    """What a frame takes over from others."""

    values: Tensor
    """(c, h, w)"""
    likeness: Tensor
    """(h, w): that of the most similar place, up to 1."""


@lru_cache(maxsize=1)
def encoder() -> MobileLite:
    """The built-in `lite`, on the CPU in full precision, whatever the film is colored with."""
    path = carried_folder() / LITE.file
    network = load_generator(path)
    if not isinstance(network, MobileLite):
        raise WeightsError(
            f"references and hints need the built-in model lite, and {path} is another one; "
            "install vidcolor again"
        )
    return network


def network_luma(luma: NDArray) -> Tensor:
    """luma: (h, w) uint8, full range, of square pixels -> (1, 1, h', w') in [0, 1], as `lite`
    takes it.
    """
    height, width = luma.shape
    across, down = encoder().input_size(RENDER_SIZE, width, height)
    planes = torch.from_numpy(luma)[None, None].float()
    return resize_planes(planes, (down, across), "area" if across < width else "bilinear") / 255


@torch.inference_mode()
def see(luma: NDArray) -> Sight:
    """luma: as of `network_luma`."""
    small = network_luma(luma)
    maps = encoder().feature_maps(small)
    size = tuple(maps[0].shape[2:])
    parts = []
    for part in maps:
        # What all places have in common says nothing about any of them.
        part = F.normalize(part - part.mean((2, 3), keepdim=True), dim=1)
        parts.append(F.interpolate(part, size, mode="bilinear"))
    vectors = F.normalize(torch.cat(parts, 1), dim=1)[0].flatten(1).T.contiguous()
    return Sight(vectors, F.avg_pool2d(small, 4).flatten(), (size[0], size[1]))


def remember(sight: Sight, values: NDArray, weights: NDArray) -> Memory:
    """values: (c, h, w), weights: (h, w), of any size."""
    planes = np.concatenate([values * weights, weights[None]]).astype(np.float32)
    small = resize_planes(torch.from_numpy(planes)[None], sight.size, "area")[0].flatten(1).T
    share = small[:, -1:]
    return Memory(sight, small[:, :-1] / share.clamp(min=1e-6), share[:, 0])


@torch.inference_mode()
def condensed(memories: Sequence[Memory]) -> tuple[list[Memory], Tensor]:
    """The same with CHANNELS channels, and what brings a frame's vectors to them.

    Those are the principal components of what is remembered, so that little of the likeness to it
    is lost.
    """
    vectors = torch.cat([memory.sight.vectors for memory in memories])
    basis = torch.linalg.eigh(vectors.T @ vectors).eigenvectors[:, -CHANNELS:].contiguous()
    fewer = [memory._replace(sight=project(memory.sight, basis)) for memory in memories]
    return fewer, basis


@torch.inference_mode()
def project(sight: Sight, basis: Tensor) -> Sight:
    """basis: (channels, CHANNELS)."""
    return sight._replace(vectors=sight.vectors @ basis)


@torch.inference_mode()
def recall(
    sight: Sight,
    memories: Sequence[Memory],
    shares: Sequence[float],
    temperature: float = TEMPERATURE,
) -> Match:
    """The mean of what is remembered, each place weighted by how alike it is.

    shares: in [0, 1], how much each of the memories counts. temperature: as TEMPERATURE.
    """
    scores = torch.cat([sight.scores(memory.sight) for memory in memories], 1)
    weights = torch.cat([memory.weights for memory in memories])
    pairs = zip(memories, shares, strict=True)
    prior = torch.cat([share * memory.weights for memory, share in pairs])
    likeness = (scores - (weights < 0.5).to(scores)).amax(1)
    odds = scores / temperature + prior.clamp(min=1e-9).log()
    values = F.softmax(odds, 1) @ torch.cat([memory.values for memory in memories])
    return Match(values.T.reshape(-1, *sight.size), likeness.view(sight.size))
