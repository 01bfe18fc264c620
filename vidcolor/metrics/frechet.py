"""How far two normal distributions of features are apart, for training and for evaluation."""

import numpy as np
from numpy.typing import NDArray


def frechet_distance(
    mean: NDArray, covariance: NDArray, other_mean: NDArray, other_covariance: NDArray
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of means (n,) and covariances (n, n).

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), equation 6.
    """
    levels, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(levels.clip(0))) @ axes.T
    product = np.linalg.eigvalsh(root @ other_covariance @ root)
    spread = np.trace(covariance) + np.trace(other_covariance)
    between = float(np.sum((mean - other_mean) ** 2))
    return between + float(spread - 2 * np.sqrt(product.clip(0)).sum())
