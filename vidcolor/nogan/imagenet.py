"""Networks that know ImageNet: for a U-Net's encoder to start from, for a feature loss."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import vgg16_bn

from vidcolor.errors import WeightsError
from vidcolor.nogan.losses import FeatureLoss
from vidcolor.nogan.recipe import Content, Generator
from vidcolor.weights.check import sha256
from vidcolor.weights.places import download_folder, folders

ORIGIN = "https://download.pytorch.org/models/"
FILES = {
    "deep": "resnet34-b627a593.pth",
    "wide": "resnet101-63fe2227.pth",
    "vgg": "vgg16_bn-6c64b313.pth",
}
"""The end of each name is the beginning of the file's SHA-256."""


def encoder_weights(settings: Generator) -> dict[str, Tensor] | None:
    """The state of a ResNet without its classifier; None where the recipe wants a random one."""
    if settings.encoder == "random":
        return None
    state = torch.load(fetch(settings.architecture), map_location="cpu", weights_only=True)
    return {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}


def feature_loss(content: Content) -> FeatureLoss | None:
    """The recipe's feature loss; None where it wants none, or cannot have it and does without."""
    if content.features == "none":
        return None
    try:
        path = fetch("vgg")
    except WeightsError:
        if content.instead == "stop":
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
    file = FILES[name]
    prefix = file.removesuffix(".pth").rpartition("-")[2]
    for folder in folders():
        if (folder / file).is_file():
            if not sha256(folder / file).startswith(prefix):
                raise WeightsError(f"{folder / file} is damaged; delete it and start again")
            return folder / file
    folder = download_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(
            ORIGIN + file, str(folder / file), hash_prefix=prefix, progress=False
        )
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"cannot download {file} ({reason}); put {ORIGIN + file} into {folder}, "
            "or change the recipe so that it does without"
        ) from error
    return folder / file
