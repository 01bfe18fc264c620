"""All networks, and which of them a file's tensors belong to."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vidcolor.models.critic import Critic
from vidcolor.models.lite import ResidualLite
from vidcolor.models.lite_mobile import MobileLite
from vidcolor.models.network import Network
from vidcolor.models.pix2pix import Pix2Pix
from vidcolor.models.resnet_bins import ResNetBins
from vidcolor.models.sagan import Sagan
from vidcolor.models.unet import UNet

NETWORKS: tuple[type[Network], ...] = (
    ResidualLite,
    MobileLite,
    Pix2Pix,
    Sagan,
    ResNetBins,
    UNet,
    Critic,
)
"""The first that `matches` is taken."""


def recognize(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Network:
    """An empty network, on the meta device, of the class and dimensions that the tensors have.

    Raises ValueError if they are no known network's, and what `Network.empty` raises.
    """
    for network in NETWORKS:
        if network.matches(tensors, metadata):
            with torch.device("meta"):  # no memory and no random numbers for what is replaced
                return network.empty(tensors, metadata)
    raise ValueError(
        "its architecture is none that is known: deep (artistic), wide (stable, video), lite, "
        "pix2pix, sagan, resnet-bins, or the critic"
    )
