"""DeOldify's 8-bit arithmetic, which is OpenCV's YUV: tensors in, tensors out.

Whole numbers of 1/2^14, all of them below 2^24, so that float32 is exact and a luma that is deeper
than 8 bits fits in.
"""

import torch
from torch import Tensor

from vidcolor.chroma import matrices
from vidcolor.chroma.matrices import apply_matrix

_YUV_PER_CHROMA = 255 * torch.tensor([1.772 * 8061, 1.402 * 14369]) / 2**14
"""(2,): how many of OpenCV's levels of U and V make the whole range of Cb and Cr."""


_RGB_FROM_UV = torch.tensor([[0.0, 18678.0], [-6472.0, -9519.0], [33292.0, 0.0]])
"""(3, 2), in units of 1/2^14."""


def luma(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in 0 to 255 -> Y (B, 1, H, W), float32 of the same range, not rounded."""
    return apply_matrix(torch.tensor([[4899.0, 9617.0, 1868.0]]), rgb.float()) / 2**14


def uv(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) of whole numbers in 0 to 255 -> (U, V) without their offset of 128.

    (B, 2, H, W) float32, whole numbers in -128 to 127.
    """
    gray = half_up(luma(rgb))
    blue, red = rgb[:, 2:].float() - gray, rgb[:, :1].float() - gray
    return half_up(torch.cat([8061 * blue, 14369 * red], dim=1) / 2**14).clamp(-128, 127)


def merge(luma: Tensor, uv: Tensor) -> Tensor:
    """Y (B, 1, H, W) in 0 to 255 and (U, V) as of `uv` -> RGB, float32, neither rounded
    nor clamped. Rounded half up it is OpenCV's result wherever `luma` is a whole number.
    """
    return luma + apply_matrix(_RGB_FROM_UV, uv) / 2**14


def trim(uv: Tensor, saturation: float, hue_degrees: float) -> Tensor:
    """`matrices.trim` for (U, V) as of `uv`."""
    if saturation == 1 and hue_degrees == 0:
        return uv
    scale = _YUV_PER_CHROMA[:, None, None]
    return matrices.trim(uv / scale, saturation, hue_degrees) * scale


def half_up(x: Tensor) -> Tensor:
    """Round to whole numbers, halves upwards."""
    return (x + 0.5).floor()
