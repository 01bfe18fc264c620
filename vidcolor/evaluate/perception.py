"""How different two pictures look to a network: LPIPS."""

import torch
from numpy.typing import NDArray

from vidcolor.errors import WeightsError
from vidcolor.evaluate.networks import network_file
from vidcolor.weights.networks import PYTORCH

ALEXNET = PYTORCH + "alexnet-owt-7be5be79.pth"


class Perception:
    """LPIPS (Zhang et al. 2018), version 0.1, on AlexNet, as torchmetrics has it.

    Raises WeightsError where torchmetrics or AlexNet's weights cannot be had.
    """

    def __init__(self, device: torch.device):
        try:
            from torchmetrics.image.lpip import (  # pyright: ignore[reportMissingImports]
                LearnedPerceptualImagePatchSimilarity,
            )
        except ImportError as error:
            raise WeightsError("it needs a package: pip install 'vidcolor[evaluate]'") from error
        network_file(ALEXNET)  # where torchmetrics will find it
        lpips = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
        self._lpips = lpips.to(device)
        self._device = device

    @torch.inference_mode()
    def distance(self, ours: NDArray, real: NDArray) -> float:
        """Of two (h, w, 3) uint8 pictures; 0 for the same."""
        pair = [
            torch.from_numpy(p).to(self._device).movedim(2, 0)[None] / 255 for p in (ours, real)
        ]
        return float(self._lpips.forward(*pair))
