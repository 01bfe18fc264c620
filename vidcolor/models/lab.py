"""CIELAB (D65) as tensors, with gradients, in float32."""

import torch
from torch import Tensor

TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB -> XYZ."""
WHITE = (0.95047, 1.0, 1.08883)

LINEAR = 6 / 29
"""Below it, CIELAB's curve is a straight line."""


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """sRGB (B, 3, h, w) in [0, 1] -> (B, 3, h, w): L in [0, 100], a and b within 110 of 0."""
    rgb = rgb.float()
    linear = torch.where(
        rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    )
    x, y, z = _curve(_mix(linear, _matrix(rgb.device) / _white(rgb.device)[:, None])).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of `rgb_to_lab`; colors that no screen shows are clamped."""
    lightness, a, b = lab.float().unbind(1)
    y = (lightness + 16) / 116
    curved = torch.stack([y + a / 500, y, y - b / 200], 1)
    relative = torch.where(
        curved > LINEAR, curved**3, 3 * LINEAR**2 * (curved - 4 / 29)
    )  # of the white point
    back = torch.linalg.inv(_matrix(lab.device).double()).float() * _white(lab.device)[None]
    linear = _mix(relative, back).clamp(0, 1)
    return torch.where(
        linear <= 0.0031308,
        12.92 * linear,
        1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055,
    )


def luma_to_lightness(luma: Tensor) -> Tensor:
    """Luma (B, 1, h, w) in [0, 1] -> L in [0, 100] of the gray picture of that luma.

    A film has luma only. The L of a colored picture differs from it where colors are strong.
    """
    return rgb_to_lab(luma.expand(-1, 3, -1, -1))[:, :1]


def ab_to_chroma(luma: Tensor, ab: Tensor) -> Tensor:
    """Luma (B, 1, h, w) in [0, 1] and a and b (B, 2, h, w) -> BT.601 chroma in [-0.5, 0.5]."""
    red, green, blue = ab_to_rgb(luma, ab).unbind(1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([(blue - y) / 1.772, (red - y) / 1.402], 1)


def ab_to_rgb(luma: Tensor, ab: Tensor) -> Tensor:
    """Luma (B, 1, h, w) in [0, 1] and a and b (B, 2, h, w) -> sRGB (B, 3, h, w) in [0, 1]."""
    return lab_to_rgb(torch.cat([luma_to_lightness(luma), ab.float()], 1))


def _curve(relative: Tensor) -> Tensor:
    """XYZ relative to white -> what L, a and b are differences of."""
    return torch.where(
        relative > LINEAR**3,
        relative.clamp(min=LINEAR**3) ** (1 / 3),
        relative / (3 * LINEAR**2) + 4 / 29,
    )


def _mix(planes: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix, planes)


def _matrix(device: torch.device) -> Tensor:
    return torch.tensor(TO_XYZ, device=device)


def _white(device: torch.device) -> Tensor:
    return torch.tensor(WHITE, device=device)
