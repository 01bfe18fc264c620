"""Initial weights; spectral and weight norm while training, folded when a network is finished."""

from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from vidcolor.models.critic import CriticNetwork

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def normalize_generator(network: nn.Module) -> None:
    """As in DeOldify: spectral norm outside the encoder, weight norm in the last upsampling."""
    for name, module in list(network.named_modules()):
        if not isinstance(module, nn.Conv1d | nn.Conv2d) or name.startswith("encoder."):
            continue
        weight_norm(module) if name == "up.conv" else spectral_norm(module)


def normalize_critic(network: CriticNetwork) -> None:
    """Spectral norm everywhere (Miyato et al. 2018, arXiv:1802.05957)."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            spectral_norm(module)


@torch.no_grad()
def fold(network: NetworkT) -> NetworkT:
    """A copy with plain weights, as the networks of `vidcolor.models` have them."""
    was_training = network.training
    network.eval()  # spectral norm iterates at every look in training
    plain = type(network)(network.shape).eval()  # pyright: ignore[reportCallIssue]
    state = network.state_dict()
    for name in plain.state_dict():
        if name not in state:
            module, _, weight = name.rpartition(".")
            state[name] = getattr(network.get_submodule(module), weight)
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    network.train(was_training)
    return plain.to(next(network.parameters()).device)


@torch.no_grad()
def initialize(network: nn.Module, *, spread: float | None = None, bias: float = 0.0) -> None:
    """Draw the weights of all convolutions, and set norms to 1 and `bias`.

    spread: standard deviation, as DCGAN and pix2pix have 0.02, where the norms' weights are drawn
    around 1 with it, too; None: by Kaiming's rule for ReLU (He et al. 2015).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            if spread is None:
                nn.init.kaiming_normal_(module.weight)
            else:
                nn.init.normal_(module.weight, 0, spread)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, spread or 0.0)
            nn.init.constant_(module.bias, bias)
