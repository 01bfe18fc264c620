"""Adversarial losses by the names that recipes use.

Logits are (B, patches); positive means real.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


class AdversarialLoss(ABC):
    """A loss of the critic, and one of the generator."""

    smooths: bool = True
    """Whether a label below 1 for real pictures has a meaning."""

    @abstractmethod
    def critic(self, generated: Tensor, real: Tensor, label: float) -> Tensor:
        """label: what real pictures count as, 1 or a little less (one-sided label smoothing)."""

    @abstractmethod
    def generator(self, generated: Tensor) -> Tensor:
        """Of the critic's logits for generated pictures."""


class CrossEntropy(AdversarialLoss):
    """Binary cross-entropy (Goodfellow et al. 2014), the generator's without saturation."""

    def critic(self, generated: Tensor, real: Tensor, label: float) -> Tensor:
        loss = F.softplus(-real).mean()
        if label < 1:
            loss = label * loss + (1 - label) * F.softplus(real).mean()
        return (F.softplus(generated).mean() + loss) / 2

    def generator(self, generated: Tensor) -> Tensor:
        return F.softplus(-generated).mean()


class LeastSquares(AdversarialLoss):
    """LSGAN (Mao et al. 2017) with the labels 0 and 1."""

    def critic(self, generated: Tensor, real: Tensor, label: float) -> Tensor:
        return ((generated**2).mean() + ((real - label) ** 2).mean()) / 2

    def generator(self, generated: Tensor) -> Tensor:
        return ((generated - 1) ** 2).mean()


class Hinge(AdversarialLoss):
    """As in SAGAN (Zhang et al. 2018); a label below 1 is the margin of real pictures."""

    def critic(self, generated: Tensor, real: Tensor, label: float) -> Tensor:
        return F.relu(label - real).mean() + F.relu(1 + generated).mean()

    def generator(self, generated: Tensor) -> Tensor:
        return -generated.mean()


class Wasserstein(AdversarialLoss):
    """The difference of means (Arjovsky et al. 2017); the critic must be bounded otherwise."""

    smooths = False

    def critic(self, generated: Tensor, real: Tensor, label: float) -> Tensor:
        return generated.mean() - real.mean()

    def generator(self, generated: Tensor) -> Tensor:
        return -generated.mean()


LOSSES: dict[str, AdversarialLoss] = {
    "bce": CrossEntropy(),
    "lsgan": LeastSquares(),
    "hinge": Hinge(),
    "wasserstein": Wasserstein(),
}


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], generated: Tensor, real: Tensor, random: torch.Generator
) -> Tensor:
    """How far the critic's gradient between the pictures is from norm 1, squared.

    Gulrajani et al., "Improved Training of Wasserstein GANs" (2017). Pictures are (B, C, n, n); the
    critic is run in float32, since the penalty is differentiated twice.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=random, device=real.device)
    between = torch.lerp(generated.float(), real.float(), share).detach().requires_grad_()
    with torch.autocast(real.device.type, enabled=False):
        logits = critic(between)
    (gradient,) = torch.autograd.grad(logits.mean(1).sum(), between, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
