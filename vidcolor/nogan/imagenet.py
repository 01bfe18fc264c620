"""Networks trained on ImageNet: initial weights of a U-Net's encoder, and a feature loss."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import vgg16_bn

from vidcolor.errors import WeightsError
from vidcolor.nogan.losses import FeatureLoss
from vidcolor.nogan.recipe import Content, Generator
from vidcolor.weights.networks import PYTORCH, network_file
from vidcolor.weights.places import download_folder, folders

ORIGIN = PYTORCH
FILES = {
    "deep": "resnet34-b627a593.pth",
    "wide": "resnet101-63fe2227.pth",
    "vgg": "vgg16_bn-6c64b313.pth",
}
"""The end of each name is the beginning of the file's SHA-256."""


def encoder_weights(settings: Generator) -> dict[str, Tensor] | None:
    """The state of a ResNet without its classifier; None where the recipe asks for random ones."""
    if settings.encoder == "random":
        return None
    state = torch.load(fetch(settings.architecture), map_location="cpu", weights_only=True)
    return {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}


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
