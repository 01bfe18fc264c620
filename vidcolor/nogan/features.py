"""Features of pictures whose distribution a score compares with that of photos."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.errors import TrainingError
from vidcolor.metrics.frechet import frechet_distance
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.resolve import resolve

COUNT = 48
"""Features that are left, so that a few hundred photos determine their covariance."""


@runtime_checkable
class Encoder(Protocol):
    """A network that describes pictures."""

    def features(self, luma: Tensor) -> Tensor:
        """luma (B, 1, h, w) in [0, 1] -> (B, C)."""
        ...


class LiteFeatures:
    """The encoder of the built-in model, which no training changes, on red, green and blue.

    It was trained on luma, so that each of the three is shown to it as one. Colors change how the
    three differ; what the picture shows is the same in both sets. Projected to COUNT features by a
    fixed random matrix.
    """

    def __init__(self, device: torch.device):
        network = load_generator(resolve("lite"))
        if not isinstance(network, Encoder):
            raise TrainingError('the built-in model has no encoder; set features = "critic"')
        self.encoder, self.device = network, device
        network.to(device)
        self.projection = torch.empty(0)

    @torch.no_grad()
    def __call__(self, rgb: Tensor) -> NDArray:
        """RGB (B, 3, n, n) in [0, 1] -> (B, COUNT) float64."""
        planes = [self.encoder.features(rgb[:, n : n + 1].float()) for n in range(3)]
        found = torch.cat(planes, 1).double().cpu()
        if not len(self.projection):
            random = torch.Generator().manual_seed(0)
            shape = (found.shape[1], COUNT)
            matrix = torch.randn(shape, generator=random, dtype=torch.float64)
            self.projection = torch.linalg.qr(matrix).Q
        return (found @ self.projection).numpy()


def shrunk_frechet(ours: NDArray, photos: NDArray) -> float:
    """Distance of the normal distributions that fit two sets of features (N, C), N at least 2.

    Covariances are shrunk, so that they have full rank also where N is small. NaN where a feature
    is not finite.
    """
    if not (np.isfinite(ours).all() and np.isfinite(photos).all()):
        return float("nan")
    return frechet_distance(
        ours.mean(0), shrunk_covariance(ours), photos.mean(0), shrunk_covariance(photos)
    )


def shrunk_covariance(features: NDArray) -> NDArray:
    """Between the covariance of (N, C) and a multiple of the identity, (C, C).

    Chen et al., "Shrinkage Algorithms for MMSE Covariance Estimation" (2010), equation 23.
    """
    count, size = features.shape
    covariance = np.atleast_2d(np.cov(features.T, bias=True))
    trace, squares = np.trace(covariance), float((covariance**2).sum())
    above = (1 - 2 / size) * squares + trace**2
    below = (count + 1 - 2 / size) * (squares - trace**2 / size)
    share = min(1.0, above / below) if below > 0 else 1.0
    return (1 - share) * covariance + share * trace / size * np.eye(size)
