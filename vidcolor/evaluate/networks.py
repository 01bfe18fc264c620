"""Files of the metrics' networks: kept in torchvision's cache, downloaded on first use."""

from pathlib import Path

import torch
from torch.hub import get_dir

from vidcolor.weights import networks


def network_file(url: str) -> Path:
    """The file of that address in torch's cache. Raises WeightsError where it cannot be had."""
    folder = Path(get_dir()) / "checkpoints"
    return networks.network_file(url, [folder], folder)


def network_weights(url: str) -> dict[str, torch.Tensor]:
    """The tensors in the file of that address. Raises WeightsError as `network_file`."""
    return torch.load(network_file(url), map_location="cpu", weights_only=True)
