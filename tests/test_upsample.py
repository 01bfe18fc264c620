"""Guided upsampling: what a viewer sees at the outlines of things."""

import pytest
import torch
from torch.nn import functional as F

from vidcolor.chroma.upsample import upsample

RED, BLUE = (-0.15, 0.35), (0.35, -0.1)


def scene(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright red disc on a dark blue ground -> luma (1, 1, h, w) uint8, chroma (1, 2, h, w)."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    inside = ((y / height - 0.45) ** 2 + (x / width - 0.55) ** 2 < 0.1).float()
    luma = (50 + 130 * inside).to(torch.uint8)[None, None]
    red, blue = (torch.tensor(color)[:, None, None] for color in (RED, BLUE))
    return luma, (red * inside + blue * (1 - inside))[None]


def shrink(chroma: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return F.interpolate(chroma, (height, width), mode="area")


def stretch(chroma: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(chroma, like.shape[-2:], mode="bicubic")


def error(got: torch.Tensor, want: torch.Tensor) -> float:
    return (got - want).square().sum(1).mean().sqrt().item()


@pytest.mark.parametrize("size", [(135, 240), (136, 241), (67, 240)])
def test_colors_stay_inside_outlines(size):
    luma, chroma = scene(*size)
    small = shrink(chroma, 18, 32)
    assert error(upsample(small, luma), chroma) < 0.4 * error(stretch(small, luma), chroma)


def test_outlines_have_no_halos():
    luma, chroma = scene(135, 240)
    enlarged = upsample(shrink(chroma, 18, 32), luma)
    low, high = chroma.amin((2, 3), True), chroma.amax((2, 3), True)
    assert ((enlarged - high).clamp(min=0) + (low - enlarged).clamp(min=0)).max() < 0.05


def test_colors_that_luma_cannot_tell_apart_do_not_leak():
    _, chroma = scene(135, 240)
    small = shrink(chroma, 18, 32)
    flat = torch.full((1, 1, 135, 240), 120, dtype=torch.uint8)
    assert error(upsample(small, flat), chroma) < 1.05 * error(stretch(small, flat), chroma)


def test_grain_stays_out_of_flat_colors():
    noise = torch.Generator().manual_seed(3)
    grainy = (120 + 12 * torch.randn(1, 1, 135, 240, generator=noise)).to(torch.uint8)
    small = torch.tensor(RED)[None, :, None, None].expand(1, 2, 18, 32)
    assert (upsample(small, grainy) - small[..., :1, :1]).abs().max() < 1e-4


def test_titles_take_no_color_of_their_own():
    """A thin white line across an outline: luma as nowhere in the small picture."""
    luma, chroma = scene(135, 240)
    small = shrink(chroma, 18, 32)
    luma[..., 60:62, :] = 255
    low, high = small.amin((2, 3), True), small.amax((2, 3), True)
    enlarged = upsample(small, luma)
    assert ((enlarged >= low - 1e-6) & (enlarged <= high + 1e-6)).all()


def test_gray_stays_gray_and_the_mean_color_stays():
    luma, chroma = scene(135, 240)
    assert upsample(torch.zeros(1, 2, 18, 32), luma).abs().max() == 0
    torch.testing.assert_close(
        upsample(shrink(chroma, 18, 32), luma).mean((2, 3)), chroma.mean((2, 3)), atol=3e-3, rtol=0
    )


@pytest.mark.parametrize("small", [(1, 1), (2, 3), (8, 8), (40, 6), (64, 64)])
@pytest.mark.parametrize("full", [(1, 1), (8, 8), (8, 40), (33, 17)])
def test_any_size(small, full):
    """Also films that are smaller, or narrower, than what the generator makes."""
    luma, chroma = scene(*full)
    enlarged = upsample(shrink(chroma, *small), luma)
    assert enlarged.shape == chroma.shape
    assert enlarged.isfinite().all() and enlarged.abs().max() < 0.6


def test_frames_of_a_batch_do_not_mix():
    luma, chroma = scene(60, 80)
    other_luma, other = luma.flip(3), -chroma.flip(2)
    small = [shrink(planes, 12, 16) for planes in (chroma, other)]
    both = upsample(torch.cat(small), torch.cat([luma, other_luma]))
    assert torch.equal(both[:1], upsample(small[0], luma))
    assert torch.equal(both[1:], upsample(small[1], other_luma))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu_and_cpu_agree():
    luma, chroma = scene(136, 241)
    small = shrink(chroma, 18, 32)
    enlarged = upsample(small.cuda(), luma.cuda()).cpu()
    torch.testing.assert_close(enlarged, upsample(small, luma), atol=0.02, rtol=0)
