"""What DeOldify's checkpoints look like: its names for tensors, its spectral and weight norm."""

import re

import torch
from torch import Tensor

# Applied in turn to every key, so that later rules may build on earlier ones. DeOldify numbers
# the steps of its generators: 0 encoder, 1 norm, 3 middle, 4 to 7 decoder, 8 last upsampling,
# 10 residual block, 11 head; inside a block 0 is a convolution, 2 its norm, 3 the attention.
_GENERATOR_RULES = (
    (r"^layers\.0\.0\.", "encoder.conv1."),
    (r"^layers\.0\.1\.", "encoder.bn1."),
    (r"^layers\.0\.4\.", "encoder.layer1."),
    (r"^layers\.0\.5\.", "encoder.layer2."),
    (r"^layers\.0\.6\.", "encoder.layer3."),
    (r"^layers\.0\.7\.", "encoder.layer4."),
    (r"^layers\.1\.", "norm."),
    (r"^layers\.3\.(\d)\.0\.", r"middle.\1.conv."),
    (r"^layers\.3\.(\d)\.2\.", r"middle.\1.norm."),
    (r"^layers\.4\.", "blocks.0."),
    (r"^layers\.5\.", "blocks.1."),
    (r"^layers\.6\.", "blocks.2."),
    (r"^layers\.7\.", "blocks.3."),
    (r"^(blocks\.\d)\.shuf\.conv\.0\.", r"\1.up.conv."),
    (r"^(blocks\.\d)\.shuf\.conv\.1\.", r"\1.up.norm."),
    (r"^(blocks\.\d)\.bn\.", r"\1.skip_norm."),
    (r"^(blocks\.\d)\.conv2?\.3\.", r"\1.attention."),
    (r"^(blocks\.\d)\.conv1?\.0\.", r"\1.convs.0.conv."),
    (r"^(blocks\.\d)\.conv1?\.2\.", r"\1.convs.0.norm."),
    (r"^(blocks\.\d)\.conv2\.0\.", r"\1.convs.1.conv."),
    (r"^(blocks\.\d)\.conv2\.2\.", r"\1.convs.1.norm."),
    (r"^layers\.8\.conv\.0\.", "up.conv."),
    (r"^layers\.10\.layers\.(\d)\.0\.", r"residual.\1."),
    (r"^layers\.11\.0\.", "head."),
)
_CRITIC_RULES = (
    (r"^0\.0\.", "stem."),
    (r"^2\.0\.", "blocks.0.conv."),
    (r"^4\.0\.", "blocks.0.down."),
    (r"^4\.2\.", "blocks.0.attention."),
    (r"^5\.0\.", "blocks.1.conv."),
    (r"^7\.0\.", "blocks.1.down."),
    (r"^8\.0\.", "blocks.2.conv."),
    (r"^10\.0\.", "blocks.2.down."),
    (r"^11\.0\.", "conv."),
    (r"^12\.0\.", "head."),
)


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give every tensor of a generator or critic our name; names that are not DeOldify's stay."""
    rules = _GENERATOR_RULES if any(key.startswith("layers.") for key in tensors) else _CRITIC_RULES
    return {_rename(key, rules): tensor for key, tensor in tensors.items()}


def _rename(key: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def fold_norms(tensors: dict[str, Tensor]) -> None:
    """Replace spectral and weight norm by the plain weight that they stand for, in place.

    Spectral norm (Miyato et al. 2018, arXiv:1802.05957) divides by u . W v, with u and v as
    stored: the files hold what the last training step left, so nothing is iterated here.
    Raises KeyError for a norm whose tensors are incomplete, ValueError if they do not fit.
    """
    for key in [key for key in tensors if key.endswith(".weight_orig")]:
        prefix = key.removesuffix("_orig")
        weight, u, v = _take(tensors, key, f"{prefix}_u", f"{prefix}_v")
        matrix = weight.flatten(1)
        if u.shape != matrix.shape[:1] or v.shape != matrix.shape[1:]:
            raise ValueError(f"the spectral norm of {prefix} does not fit its weight")
        tensors[prefix] = weight.div_(torch.dot(u, torch.mv(matrix, v)))
    for key in [key for key in tensors if key.endswith(".weight_g")]:
        prefix = key.removesuffix("_g")
        g, v = _take(tensors, key, f"{prefix}_v")
        if g.shape != (v.shape[0],) + (1,) * (v.ndim - 1):
            raise ValueError(f"the weight norm of {prefix} does not fit its weight")
        norm = torch.linalg.vector_norm(v, dim=tuple(range(1, v.ndim)), keepdim=True)
        tensors[prefix] = v.mul_(g / norm)


def _take(tensors: dict[str, Tensor], *keys: str) -> list[Tensor]:
    return [tensors.pop(key).float() for key in keys]
