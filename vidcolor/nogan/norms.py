"""Spectral and weight norm while training; folded into plain weights when a network is finished."""

from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from vidcolor.models.critic import Critic
from vidcolor.models.network import Network
from vidcolor.models.unet import UNet

NetworkT = TypeVar("NetworkT", bound=Network)


def normalize_generator(network: UNet) -> None:
    """As in DeOldify: spectral norm outside the encoder, weight norm in the last upsampling."""
    for name, module in list(network.named_modules()):
        if not isinstance(module, nn.Conv1d | nn.Conv2d) or name.startswith("encoder."):
            continue
        weight_norm(module) if name == "up.conv" else spectral_norm(module)


def normalize_critic(network: Critic) -> None:
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
