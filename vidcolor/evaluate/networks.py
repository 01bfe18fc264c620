"""Files of the networks that judge: kept where torchvision keeps them, fetched on first use."""

import hashlib
import os
from pathlib import Path

import torch
from torch.hub import download_url_to_file, get_dir

from vidcolor.errors import WeightsError

PYTORCH = "https://download.pytorch.org/models/"


def network_file(url: str) -> Path:
    """The file of that address in torch's cache, fetched if it is not there.

    Its name ends with the first eight digits of its SHA-256, which it must have, new or old.
    Raises WeightsError where it cannot be had.
    """
    path = Path(get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            download_url_to_file(url, os.fspath(path), hash_prefix=digits(path), progress=False)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split())
            raise WeightsError(
                f"{path.name} cannot be fetched ({reason}); get {url} and put it into {path.parent}"
            ) from error
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(digits(path)):
            raise WeightsError(f"{path} is damaged; delete it, and it is fetched again")
    return path


def digits(path: Path) -> str:
    """What the file's SHA-256 begins with, by its name: `name-0123abcd.pth`."""
    return path.stem.rpartition("-")[2]


def network_weights(url: str) -> dict[str, torch.Tensor]:
    """The tensors in the file of that address. Raises WeightsError as `network_file`."""
    return torch.load(network_file(url), map_location="cpu", weights_only=True)
