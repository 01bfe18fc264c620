"""Augmentation of crops: geometry and lighting of input and target, degradation of the input."""

from typing import NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma import matrices
from vidcolor.nogan.degrade import degrade, uniform
from vidcolor.nogan.settings import Augment


class Sample(NamedTuple):
    """A generator's input and its target; BT.601, B crops of n x n."""

    input: Tensor
    """(B, 1, n, n) luma in [0, 1], degraded."""
    luma: Tensor
    """(B, 1, n, n) in [0, 1]."""
    chroma: Tensor
    """(B, 2, n, n) in [-0.5, 0.5]."""

    def rgb(self) -> Tensor:
        """The target: (B, 3, n, n) in [0, 1]."""
        return matrices.merge(self.luma, self.chroma)


def to_arrays(rgb: Tensor) -> NDArray:
    """(B, 3, H, W) on any device -> (B, H, W, 3) float32."""
    return rgb.permute(0, 2, 3, 1).contiguous().float().cpu().numpy()


def plain(crops: Tensor) -> Sample:
    """(B, 3, n, n) uint8 luma, Cb, Cr, with nothing done to them."""
    planes = crops.float() / 255
    luma, chroma = planes[:, :1], planes[:, 1:] - 128 / 255
    return Sample(luma, luma, chroma)


def augment(crops: Tensor, settings: Augment, random: torch.Generator) -> Sample:
    """Augment crops (B, 3, n, n) uint8; `random` lives on their device."""
    _, luma, chroma = plain(crops)
    if settings.flip:
        flipped = _struck(luma, settings.flip, random)
        luma = torch.where(flipped, luma.flip(3), luma)
        chroma = torch.where(flipped, chroma.flip(3), chroma)
    if settings.rotate or settings.warp:
        grid = _grid(luma, settings, random)
        planes = F.grid_sample(
            torch.cat([luma, chroma], 1), grid, padding_mode="reflection", align_corners=False
        )
        luma, chroma = planes[:, :1].clamp(0, 1), planes[:, 1:]
    if settings.lighting:
        luma, chroma = _light(luma, chroma, settings, random)
    input_luma = luma
    if settings.noise:
        input_luma = _noise(input_luma, settings.noise, random)
    if settings.degrade:
        input_luma = degrade(
            input_luma, chroma, settings.degrade, random, settings.degrade_strength
        )
    return Sample(input_luma, luma, chroma)


def _struck(luma: Tensor, probability: float, random: torch.Generator) -> Tensor:
    """(B, 1, 1, 1) of booleans."""
    return uniform(len(luma), 0, 1, random) < probability


def _grid(luma: Tensor, settings: Augment, random: torch.Generator) -> Tensor:
    """Where each pixel comes from: (B, n, n, 2), after a turn and a tilt about the center."""
    count, _, height, width = luma.shape
    angle = torch.deg2rad(uniform(count, -settings.rotate, settings.rotate, random)[:, 0, 0])
    tilt_x, tilt_y = (uniform(count, -settings.warp, settings.warp, random)[:, 0] for _ in range(2))
    angle = angle * _struck(luma, settings.probability, random)[:, 0, 0]
    warped = _struck(luma, settings.probability, random)[:, 0]
    identity = torch.eye(2, 3, device=luma.device).expand(count, 2, 3)
    x, y = F.affine_grid(identity, [count, 1, height, width], align_corners=False).unbind(3)
    # Perspective: one side of the picture comes nearer than the other.
    depth = 1 + warped * (tilt_x * x + tilt_y * y) / 2
    x, y = x / depth, y / depth
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    return torch.stack([cos * x - sin * y, sin * x + cos * y], 3)


def _light(
    luma: Tensor, chroma: Tensor, settings: Augment, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Brightness shifts the logits of RGB, then contrast scales them, as in fastai.

    RGB never leaves its range.
    """
    count, strength = len(luma), settings.lighting
    shift = uniform(count, 0.5 - strength / 2, 0.5 + strength / 2, random).logit()
    scale = torch.exp(uniform(count, -1, 1, random) * -torch.tensor(1 - strength).log().item())
    lit = _struck(luma, settings.probability, random)
    rgb = matrices.merge(luma, chroma)
    changed = torch.sigmoid((rgb.clamp(1e-3, 1 - 1e-3).logit() + shift) * scale)
    rgb = torch.where(lit, changed, rgb)
    return matrices.rgb_to_luma(rgb), matrices.rgb_to_chroma(rgb)


def _noise(luma: Tensor, probability: float, random: torch.Generator) -> Tensor:
    """DeOldify's noise: a share of 0.1 to 40 % of the pixels moves by up to 30 levels."""
    where = torch.rand(luma.shape, generator=random, device=luma.device)
    share = uniform(len(luma), 0.001, 0.4, random)
    levels = torch.randint(-30, 30, luma.shape, generator=random, device=luma.device)
    noisy = torch.where(where < share, luma + levels / 255, luma).clamp(0, 1)
    return torch.where(_struck(luma, probability, random), noisy, luma)
