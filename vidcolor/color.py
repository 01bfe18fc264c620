"""Colour arithmetic: tensors in, tensors out.

Chroma is (Cb, Cr) of ITU-R BT.601, float in [-0.5, 0.5], shape (B, 2, H, W); 0 is gray. Luma is
(B, 1, H, W); RGB is (B, 3, H, W), both in [0, 1] unless said otherwise.
"""

import math

import torch
from torch import Tensor

RED_AND_BLUE = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
"""Weights of red and blue in the luma of each matrix (ITU-R BT.601-7, BT.709-6, BT.2020-2)."""


def rgb_to_luma(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) -> BT.601 luma (B, 1, H, W), in the same range."""
    red, green, blue = rgb.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def rgb_to_chroma(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] -> chroma (B, 2, H, W)."""
    luma = rgb_to_luma(rgb)
    return torch.cat([(rgb[:, 2:] - luma) / 1.772, (rgb[:, :1] - luma) / 1.402], dim=1)


def merge(luma: Tensor, chroma: Tensor) -> Tensor:
    """luma (B, 1, H, W) in [0, 1], chroma (B, 2, H, W) -> RGB (B, 3, H, W), clamped to [0, 1]."""
    return (luma + _offsets(chroma, "bt601")).clamp(0, 1)


def trim(chroma: Tensor, saturation: float, hue_degrees: float) -> Tensor:
    """Scale chroma by `saturation` and turn it by `hue_degrees`, from Cb towards Cr."""
    if saturation == 1 and hue_degrees == 0:
        return chroma
    angle = math.radians(hue_degrees)
    cos, sin = saturation * math.cos(angle), saturation * math.sin(angle)
    return _mix(chroma, [[cos, -sin], [sin, cos]]).clamp(-0.5, 0.5)


def between_matrices(chroma: Tensor, target: str) -> Tensor:
    """Express chroma in another matrix of `RED_AND_BLUE`, for luma that is in that one already.

    The colour's offset from gray stays the same in RGB, up to the brightness that its zero BT.601
    luma has in the other matrix. The result may leave [-0.5, 0.5] a little.
    """
    if target == "bt601":
        return chroma
    cb, cr = _between(1.0, 0.0, target), _between(0.0, 1.0, target)
    return _mix(chroma, [[cb[0], cr[0]], [cb[1], cr[1]]])
