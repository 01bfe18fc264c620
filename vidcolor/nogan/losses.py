"""Losses: classification of chroma, distance of features, and the adversarial loss."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.critic import CriticNetwork

LAYERS = (22, 32, 42)
"""VGG-16-BN's activations before its third, fourth and fifth max-pool."""


def classification_loss(
    logits: Tensor, bins: Tensor, weights: Tensor, class_weights: Tensor, smoothing: float
) -> Tensor:
    """Cross-entropy with soft labels, each pixel weighted by the class of its color.

    logits: (B, Q, h, w); bins, weights: (B, 4, h, w) from `Palette.soft_labels`;
    class_weights: (Q,).
    """
    log_odds = F.log_softmax(logits, dim=1)
    hit = (log_odds.gather(1, bins) * weights).sum(1)
    pixel_weight = (class_weights[bins] * weights).sum(1)
    blend = (1 - smoothing) * hit + smoothing * log_odds.mean(1)
    return -(pixel_weight * blend).mean()


class FeatureLoss(nn.Module):
    """L1 between the features of two pictures in a network trained on ImageNet.

    After Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer" (2016), with
    the layers and weights of DeOldify. Pictures are (B, 3, n, n) ImageNet-normalized RGB.
    """

    def __init__(self, vgg: nn.Sequential, weights: tuple[float, float, float]) -> None:
        super().__init__()
        self.vgg = vgg[: LAYERS[-1] + 1].eval().requires_grad_(False)
        self.weights = weights

    def forward(self, ours: Tensor, photo: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self._features(photo)
        pairs = zip(self.weights, self._features(ours), wanted, strict=True)
        return torch.stack(
            [weight * F.l1_loss(got.float(), want.float()) for weight, got, want in pairs]
        ).sum()

    def _features(self, x: Tensor) -> list[Tensor]:
        found = []
        for number, layer in enumerate(self.vgg):
            x = layer(x)
            if number in LAYERS:
                # A copy, since the layer after it may work in place.
                found.append(x.clone())
        return found


class CriticFeatureLoss(nn.Module):
    """L1 between the features of two pictures in a critic, where there is no VGG.

    After Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional
    GANs" (2018), equation 4. Each block of the critic adds the difference relative to the
    magnitude of the photo's features. Pictures are (B, 3, n, n) ImageNet-normalized RGB; the critic
    is not trained.
    """

    def __init__(self, critic: CriticNetwork) -> None:
        super().__init__()
        self.critic = critic.eval().requires_grad_(False)

    def forward(self, ours: Tensor, photo: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self._features(photo)
        pairs = zip(self._features(ours), wanted, strict=True)
        return torch.stack(
            [F.l1_loss(got, want) / want.abs().mean().clamp(min=1e-6) for got, want in pairs]
        ).sum()

    def _features(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        hooks = [
            block.register_forward_hook(lambda _, inputs, output: found.append(output.float()))
            for block in self.critic.blocks
        ]
        self.critic(x)
        for hook in hooks:
            hook.remove()
        return found
