"""Color arithmetic against OpenCV, the standards' own numbers, and what must not change."""

import cv2
import numpy as np
import pytest
import torch

from vidcolor.chroma import matrices, opencv_yuv


def planes(*pixel: float) -> torch.Tensor:
    """One pixel as (1, channels, 1, 1)."""
    return torch.tensor(pixel)[None, :, None, None]


@pytest.fixture
def rgb() -> torch.Tensor:
    return torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1))


def test_luma_and_chroma_give_the_picture_back(rgb):
    again = matrices.merge(matrices.rgb_to_luma(rgb), matrices.rgb_to_chroma(rgb))
    torch.testing.assert_close(again, rgb, atol=1e-6, rtol=0)


def test_primaries_reach_the_ends_of_chroma():
    torch.testing.assert_close(matrices.rgb_to_chroma(planes(0, 0, 1.0))[0, 0].item(), 0.5)
    torch.testing.assert_close(matrices.rgb_to_chroma(planes(1.0, 0, 0))[0, 1].item(), 0.5)


def test_gray_has_no_chroma_and_stays_gray():
    gray = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
    assert matrices.rgb_to_chroma(gray.expand(1, 3, 16, 16)).abs().max() < 1e-6
    picture = matrices.merge(gray, torch.zeros(1, 2, 16, 16))
    assert torch.equal(picture, gray.expand(1, 3, 16, 16))


@pytest.mark.parametrize("target", ["bt601", "bt709", "bt2020"])
def test_other_matrices_keep_the_color(rgb, target):
    """Decoded with the other matrix, the difference from gray is the one that was meant."""
    chroma = matrices.rgb_to_chroma(rgb)
    cb, cr = matrices.between_matrices(chroma, target).split(1, dim=1)
    kr, kb = matrices.RED_AND_BLUE[target]
    red, blue = 2 * (1 - kr) * cr, 2 * (1 - kb) * cb
    green = -(kr * red + kb * blue) / (1 - kr - kb)
    offset = rgb - matrices.rgb_to_luma(rgb)
    got = torch.cat([red, green, blue], dim=1)
    torch.testing.assert_close(got - got[:, :1], offset - offset[:, :1], atol=1e-5, rtol=0)


def test_codes():
    chroma = planes(-0.5, 0.0, 0.5, 0.9)
    assert matrices.to_codes(chroma, full_range=False).flatten().tolist() == [16, 128, 240, 240]
    assert matrices.to_codes(chroma, full_range=True).flatten().tolist() == [0, 128, 255, 255]


def test_trim(rgb):
    chroma = matrices.rgb_to_chroma(rgb) / 2
    assert torch.equal(matrices.trim(chroma, 1, 0), chroma)
    assert matrices.trim(chroma, 0, 30).abs().max() == 0
    torch.testing.assert_close(matrices.trim(chroma, 0.5, 0), chroma / 2)
    torch.testing.assert_close(matrices.trim(planes(0.2, 0.0), 1, 90), planes(0.0, 0.2))
    assert matrices.trim(planes(0.4, -0.3), 5, 0).flatten().tolist() == [0.5, -0.5]


def test_trimmed_uv_is_the_trimmed_chroma():
    """Turning OpenCV's (U, V) gives the color that turning (Cb, Cr) gives."""
    pixel = planes(120.0, 90.0, 200.0)
    uv = opencv_yuv.uv(pixel)
    turned = opencv_yuv.merge(opencv_yuv.luma(pixel), opencv_yuv.trim(uv, 0.7, 40)) / 255
    want = matrices.merge(
        matrices.rgb_to_luma(pixel / 255),
        matrices.trim(matrices.rgb_to_chroma(pixel / 255), 0.7, 40),
    )
    torch.testing.assert_close(turned, want, atol=0.01, rtol=0)


def test_every_eighth_color_goes_through_yuv_as_in_opencv():
    steps = np.arange(0, 256, 8, dtype=np.uint8)
    pixels = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(32, -1, 3)
    pixels[0, 0], pixels[0, 1] = (255, 255, 255), (255, 0, 255)
    tensor = torch.from_numpy(pixels).movedim(2, 0)[None]

    yuv = cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV)
    luma, uv = opencv_yuv.half_up(opencv_yuv.luma(tensor)), opencv_yuv.uv(tensor)
    assert np.array_equal(torch.cat([luma, uv + 128], dim=1)[0].movedim(0, 2).numpy(), yuv)

    # The same numbers read as Y, U, V: most of them lie outside of RGB.
    back = opencv_yuv.merge(tensor[:, :1].float(), tensor[:, 1:].float() - 128)
    back = opencv_yuv.half_up(back).clamp(0, 255)[0].movedim(0, 2).numpy()
    assert np.array_equal(back, cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB))
