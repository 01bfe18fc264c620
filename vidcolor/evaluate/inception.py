"""Frechet inception distance (Heusel et al. 2017): how the set of pictures differs from originals.

Two protocols, whose figures cannot be compared:

ntire  the NTIRE 2023 challenge's: torchvision's ImageNet network, pictures stretched to 299x299
       bilinearly, and scaled for a network that expects [-1, 1] although they are in [0, 1].
clean  that of clean-fid (Parmar et al. 2022): the network of the original FID, pictures reduced
       with an antialiasing bicubic filter. Needs the package pytorch-fid.

Both pool the frames of all clips. With fewer pictures than features (2048) the figure is far too
high, and only says which of two results for the same clips is nearer.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import WeightsError
from vidcolor.evaluate.networks import network_file, network_weights
from vidcolor.metrics.frechet import frechet_distance
from vidcolor.weights.networks import PYTORCH

Protocol = Literal["ntire", "clean"]
PROTOCOLS: tuple[Protocol, ...] = ("ntire", "clean")

TORCHVISION = PYTORCH + "inception_v3_google-1a9a5a14.pth"
SIDE = 299


class Gaussian:
    """Mean and covariance of features, gathered one picture at a time."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: NDArray = np.zeros(())
        self._products: NDArray = np.zeros(())

    def add(self, features: NDArray) -> None:
        """(n,) features of one picture."""
        features = features.astype(np.float64)
        self.count += 1
        self._sum = self._sum + features
        self._products = self._products + np.outer(features, features)

    @property
    def mean(self) -> NDArray:
        return self._sum / self.count

    @property
    def covariance(self) -> NDArray:
        """(n, n), of a sample: divided by its size less one."""
        return (self._products - self.count * np.outer(self.mean, self.mean)) / (self.count - 1)


def distance_between(ours: Gaussian, real: Gaussian) -> float | None:
    """Of the two distributions; None for fewer than two pictures."""
    if min(ours.count, real.count) < 2:
        return None
    return frechet_distance(ours.mean, ours.covariance, real.mean, real.covariance)


class Inception:
    """(h, w, 3) uint8 picture -> (2048,) features, by either protocol.

    Raises WeightsError where the network, or the package that knows it, cannot be had.
    """

    def __init__(self, protocol: Protocol, device: torch.device):
        self._prepare, network = (
            (stretched, torchvision_network())
            if protocol == "ntire"
            else (antialiased, original_network())
        )
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device

    @torch.inference_mode()
    def features(self, rgb: NDArray) -> NDArray:
        out = self._network(self._prepare(rgb).to(self._device))
        return (out[0] if isinstance(out, list) else out).flatten().cpu().numpy()


def torchvision_network() -> nn.Module:
    """torchvision's Inception v3 up to its last pooling, as first published, quirk included."""
    from torchvision.models import inception_v3

    weights = network_weights(TORCHVISION)
    network = inception_v3(weights=None, init_weights=False, transform_input=True)
    network.load_state_dict(weights)
    network.fc = nn.Identity()  # type: ignore[assignment]
    return network


def original_network() -> nn.Module:
    """The network that the FID was defined with, ported by pytorch-fid."""
    try:
        from pytorch_fid import inception  # type: ignore[import-untyped]
    except ImportError as error:
        raise WeightsError("it needs a package: pip install 'vidcolor[evaluate]'") from error
    network_file(inception.FID_WEIGHTS_URL)  # where pytorch-fid will find it
    return inception.InceptionV3(resize_input=False)


def stretched(rgb: NDArray) -> Tensor:
    """(1, 3, 299, 299) in [0, 1]; bilinear, with aliasing."""
    picture = torch.from_numpy(rgb).movedim(2, 0)[None].float() / 255
    return F.interpolate(picture, (SIDE, SIDE), mode="bilinear", align_corners=False)


def antialiased(rgb: NDArray) -> Tensor:
    """(1, 3, 299, 299) in [0, 1]; Pillow's bicubic, in floating point."""
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(rgb, 2, 0)]
    small = [np.asarray(p.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for p in planes]
    return torch.from_numpy(np.stack(small).clip(0, 255) / 255)[None]
