"""Color arithmetic: tensors in, tensors out.

Chroma is (Cb, Cr) of ITU-R BT.601, float in [-0.5, 0.5], shape (B, 2, H, W); 0 is gray. Luma is
(B, 1, H, W), RGB is (B, 3, H, W), both float in [0, 1] unless said otherwise.
"""

import math

import torch
from torch import Tensor

RED_AND_BLUE = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
"""What red and blue weigh in the luma of each matrix (ITU-R BT.601-7, BT.709-6, BT.2020-2)."""


def rgb_to_luma(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) -> BT.601 luma (B, 1, H, W), in the same range."""
    return apply_matrix(_luma_weights("bt601")[None], rgb)


def rgb_to_chroma(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] -> chroma (B, 2, H, W)."""
    return apply_matrix(_chroma_from_rgb("bt601"), rgb)


def merge(luma: Tensor, chroma: Tensor) -> Tensor:
    """luma (B, 1, H, W), chroma (B, 2, H, W) -> RGB (B, 3, H, W), clamped to [0, 1]."""
    return (luma + apply_matrix(_rgb_from_chroma("bt601"), chroma)).clamp(0, 1)


def trim(chroma: Tensor, saturation: float, hue_degrees: float) -> Tensor:
    """Scale chroma by `saturation` and turn it by `hue_degrees`, from Cb towards Cr."""
    if saturation == 1 and hue_degrees == 0:
        return chroma
    angle = math.radians(hue_degrees)
    cos, sin = saturation * math.cos(angle), saturation * math.sin(angle)
    return apply_matrix(torch.tensor([[cos, -sin], [sin, cos]]), chroma).clamp(-0.5, 0.5)


def between_matrices(chroma: Tensor, target: str) -> Tensor:
    """Express chroma (B, 2, H, W) in another matrix, one of `RED_AND_BLUE`.

    The same RGB offset from gray, in the color differences of `target`; luma is not needed, as
    it cancels. Some very saturated colors leave [-0.5, 0.5].
    """
    if target == "bt601":
        return chroma
    return apply_matrix(_chroma_from_rgb(target) @ _rgb_from_chroma("bt601"), chroma)


def to_codes(chroma: Tensor, full_range: bool) -> Tensor:
    """Chroma -> the uint8 code values of video planes: 16 to 240, or 0 to 255 if `full_range`."""
    scale, low, high = code_range(full_range)
    return (scale * chroma).add_(128).round_().clamp_(low, high).to(torch.uint8)


def code_range(full_range: bool) -> tuple[int, int, int]:
    """Codes per unit of chroma, and the least and the greatest code."""
    return (255, 0, 255) if full_range else (224, 16, 240)


def _luma_weights(matrix: str) -> Tensor:
    """(3,): the weights of red, green and blue."""
    red, blue = RED_AND_BLUE[matrix]
    return torch.tensor([red, 1 - red - blue, blue])


def _chroma_from_rgb(matrix: str) -> Tensor:
    """(2, 3): Cb = (B - Y) / (2 - 2 Kb) and Cr = (R - Y) / (2 - 2 Kr), as a map of RGB."""
    luma = _luma_weights(matrix)
    red, _, blue = torch.eye(3)
    return torch.stack([(blue - luma) / (2 - 2 * luma[2]), (red - luma) / (2 - 2 * luma[0])])


def _rgb_from_chroma(matrix: str) -> Tensor:
    """(3, 2): the offset from gray, whose luma is 0, that chroma stands for."""
    red, green, blue = _luma_weights(matrix).tolist()
    per_cb, per_cr = 2 - 2 * blue, 2 - 2 * red
    return torch.tensor([[0, per_cr], [-blue * per_cb / green, -red * per_cr / green], [per_cb, 0]])


def apply_matrix(matrix: Tensor, planes: Tensor) -> Tensor:
    """Apply a matrix (M, N) to the planes (B, N, H, W) of each pixel -> (B, M, H, W)."""
    return torch.einsum("mn,bnhw->bmhw", matrix.to(planes), planes)
