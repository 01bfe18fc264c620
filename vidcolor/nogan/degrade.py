"""Simulated damage of old film, so that generators are trained for archive footage."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def degrade(
    luma: Tensor,
    chroma: Tensor,
    probability: float,
    random: torch.Generator,
    strength: float = 1.0,
) -> Tensor:
    """Degrade crops as old film is degraded; each kind is applied to each crop at random.

    luma: (B, 1, h, w) in [0, 1]; chroma: (B, 2, h, w) BT.601 in [-0.5, 0.5] -> (B, 1, h, w).
    probability: of the most frequent kind; the others have a share of it.
    strength: factor on contrast changes, vignettes, blur and grain.
    """
    for age, share in (
        (old_emulsion, 0.6),
        (fade, 1.0),
        (blur, 0.6),
        (vignette, 0.3),
        (scratch, 0.15),
        (grain, 0.9),
    ):
        struck = uniform(len(luma), 0, 1, random).flatten() < probability * share
        if struck.any():
            luma = luma.clone()
            luma[struck] = age(luma[struck], chroma[struck], random, strength)
    return luma.clamp(0, 1)


def uniform(count: int, low: float, high: float, random: torch.Generator) -> Tensor:
    """(count, 1, 1, 1) of random numbers in [low, high), on the device of `random`."""
    numbers = torch.rand(count, 1, 1, 1, generator=random, device=random.device)
    return low + (high - low) * numbers


def old_emulsion(luma: Tensor, chroma: Tensor, random: torch.Generator, strength: float) -> Tensor:
    """Luma with less red and more blue, as orthochromatic film recorded it."""
    red = 1.402 * chroma[:, 1:]
    blue = 1.772 * chroma[:, :1]
    return (
        luma
        + uniform(len(luma), -0.3, 0.15, random) * red
        + uniform(len(luma), -0.1, 0.35, random) * blue
    )


def fade(luma: Tensor, chroma: Tensor, random: torch.Generator, strength: float) -> Tensor:
    """Changes of contrast, brightness and gamma, as in prints and transfers."""
    count = len(luma)
    curved = luma.clamp(0, 1) ** torch.exp(strength * uniform(count, -0.45, 0.45, random))
    contrast = 1 + strength * uniform(count, -0.4, 0.3, random)
    return (curved - 0.5) * contrast + 0.5 + strength * uniform(count, -0.12, 0.12, random)


def blur(luma: Tensor, chroma: Tensor, random: torch.Generator, strength: float) -> Tensor:
    """Soft lenses and small scans: reduced to 45..90 % and enlarged again."""
    size = luma.shape[-2:]
    share = float(uniform(1, 0.45 / max(1.0, strength), 0.9, random))
    small = F.interpolate(
        luma, (int(size[0] * share), int(size[1] * share)), mode="bilinear", antialias=True
    )
    return F.interpolate(small, size, mode="bilinear")


def vignette(luma: Tensor, chroma: Tensor, random: torch.Generator, strength: float) -> Tensor:
    """Dark corners."""
    height, width = luma.shape[-2:]
    y = torch.linspace(-1, 1, height, device=luma.device)[:, None]
    x = torch.linspace(-1, 1, width, device=luma.device)[None, :]
    return luma * (1 - strength * uniform(len(luma), 0.1, 0.35, random) * (x**2 + y**2))


def scratch(luma: Tensor, chroma: Tensor, random: torch.Generator, strength: float) -> Tensor:
    """One bright or dark vertical line."""
    width = luma.shape[-1]
    place = uniform(len(luma), 0, width, random)
    line = torch.exp(-((torch.arange(width, device=luma.device) - place) ** 2))
    return luma + line * uniform(len(luma), -0.5, 0.5, random)


def grain(luma: Tensor, chroma: Tensor, random: torch.Generator, strength: float) -> Tensor:
    """Gaussian grain of one to two pixels, independent for each crop."""
    height, width = luma.shape[-2:]
    coarse = float(uniform(1, 1, 2, random))
    shape = (len(luma), 1, math.ceil(height / coarse), math.ceil(width / coarse))
    noise = torch.randn(shape, generator=random, device=luma.device)
    noise = F.interpolate(noise, (height, width), mode="bilinear")
    return luma + strength * uniform(len(luma), 0.005, 0.07, random) * noise
