"""Features of pictures by an ImageNet encoder, for a Frechet distance that needs no download.

The file is the one that `lite` begins its training with: a safetensors of Keras' MobileNet v1 1.0,
see docs/training.md. The figure can only be compared with others of the same file.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from vidcolor.errors import WeightsError
from vidcolor.models.lite_mobile import BLOCKS

STRIDES = [2, *(step for _, stride in BLOCKS for step in (stride, 1))]
"""Of each convolution: the depthwise one of a block has the block's."""

EPSILON = 1e-3
"""Of Keras' batch norms in this network."""


class Encoder:
    """(h, w, 3) uint8 picture -> (1024,) features: the last layer's mean over the picture.

    Raises WeightsError where the file cannot be read or is another network's.
    """

    def __init__(self, path: Path, device: torch.device):
        self._device = device
        try:
            weights = load_file(path)
            self._layers = [
                _folded(weights, name)
                for name in (
                    "conv1",
                    *(f"conv_{kind}_{n + 1}" for n in range(len(BLOCKS)) for kind in ("dw", "pw")),
                )
            ]
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"cannot read {path} ({error}); check the name") from error
        except KeyError as error:
            raise WeightsError(f"{path} is not a MobileNet v1: it lacks {error.args[0]}") from error
        self._layers = [(w.to(device), b.to(device)) for w, b in self._layers]

    @torch.inference_mode()
    def features(self, rgb: NDArray) -> NDArray:
        picture = torch.from_numpy(rgb.astype(np.float32)).movedim(2, 0)[None] / 127.5 - 1
        x = picture.to(self._device).contiguous(memory_format=torch.channels_last)
        for (weight, bias), stride in zip(self._layers, STRIDES, strict=True):
            groups = len(weight) if weight.shape[1] == 1 else 1
            side = weight.shape[-1] // 2
            x = F.conv2d(x, weight, bias, stride, side, groups=groups).clamp_(0, 6)
        return x.mean((2, 3)).flatten().cpu().numpy()


def _folded(weights: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution and the norm behind it."""
    norm = {part: weights[f"{name}_bn.{part}"] for part in ("weight", "bias", "running_mean")}
    scale = norm["weight"] * (weights[f"{name}_bn.running_var"] + EPSILON).rsqrt()
    return (
        weights[f"{name}.weight"] * scale[:, None, None, None],
        norm["bias"] - norm["running_mean"] * scale,
    )
