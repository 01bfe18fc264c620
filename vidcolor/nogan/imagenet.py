"""Networks trained on ImageNet: initial weights of a U-Net's encoder, and a feature loss."""

import logging
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import vgg16_bn

from vidcolor.errors import WeightsError
from vidcolor.nogan.losses import FeatureLoss
from vidcolor.nogan.settings import Content
from vidcolor.weights.networks import PYTORCH, network_file
from vidcolor.weights.places import download_folder, folders

log = logging.getLogger(__name__)

ORIGIN = PYTORCH
FILES = {
    "resnet34": "resnet34-b627a593.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg": "vgg16_bn-6c64b313.pth",
}
"""The end of each name is the beginning of the file's SHA-256."""


def encoder_weights(name: str) -> dict[str, Tensor]:
    """The state of one of the networks in FILES, without its classifier."""
    state = torch.load(fetch(name), map_location="cpu", weights_only=True)
    return {
        name.removeprefix("features."): tensor
        for name, tensor in state.items()
        if not name.startswith(("fc.", "classifier."))
    }


def encoder_or_random(name: str) -> dict[str, Tensor] | None:
    """The same; where the weights cannot be had, None and a warning of one line."""
    try:
        return encoder_weights(name)
    except WeightsError as error:
        log.warning('%s; the training begins with encoder = "random"', error)
        return None


def feature_loss(content: Content) -> FeatureLoss | None:
    """The recipe's feature loss; None where it has none, or the VGG cannot be downloaded and
    the recipe's fallback is not "stop"."""
    if content.features == "none":
        return None
    try:
        path = fetch("vgg")
    except WeightsError:
        if content.fallback == "stop":
            raise
        return None
    network = vgg16_bn()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    assert isinstance(network.features, nn.Sequential)
    return FeatureLoss(network.features, content.weights)


def fetch(name: str) -> Path:
    """A file of FILES from the weights folders, or downloaded into one of them; always checked.

    Raises WeightsError if it cannot be had or is not what its name says.
    """
    try:
        return network_file(ORIGIN + FILES[name], folders(), download_folder())
    except WeightsError as error:
        raise WeightsError(f"{error}, or change the recipe so that it does without") from error
