"""Makes frozen/tiny.safetensors and frozen/stills.safetensors.

The first holds checkpoints of DeOldify's networks at a small width, and their answers; the second
what they make of a picture, step by step. Networks and arithmetic agreed with the original on all
of its own answers (tests/test_oracle.py) when this was run; so those of the small ones are kept
here, to be held to where there is no oracle. Run it with `PYTHONPATH=. python tests/make_tiny.py`,
and only if that still holds.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tiny
import torch
from parity import exact
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from vidcolor.arrays import colorize_array
from vidcolor.models.critic import Critic, CriticShape
from vidcolor.models.unet import UNet, UNetShape
from vidcolor.weights.checkpoint import load_critic, load_generator

NETWORKS = {
    "deep": lambda: UNet(
        UNetShape(
            encoder="basic",
            depths=(2, 1, 1, 1),
            widths=(4, 4, 8, 8),
            ups=(4, 8, 4, 4),
            decoder=(8, 16, 8, 4),
            convs=2,
        )
    ),
    "wide": lambda: UNet(
        UNetShape(
            encoder="bottleneck",
            depths=(2, 1, 1, 1),
            widths=(4, 4, 4, 4),
            ups=(4, 8, 4, 4),
            decoder=(8, 16, 8, 4),
            convs=1,
        )
    ),
    "critic": lambda: Critic(CriticShape(width=4)),
}
SIZES = {"deep": (32, 48), "wide": (32, 48), "critic": (96, 128)}

# From our names to DeOldify's.
GENERATOR_RULES = (
    (r"^encoder\.conv1\.", "layers.0.0."),
    (r"^encoder\.bn1\.", "layers.0.1."),
    *((rf"^encoder\.layer{i + 1}\.", f"layers.0.{i + 4}.") for i in range(4)),
    (r"^norm\.", "layers.1."),
    (r"^middle\.(\d)\.conv\.", r"layers.3.\1.0."),
    (r"^middle\.(\d)\.norm\.", r"layers.3.\1.2."),
    *((rf"^blocks\.{i}\.", f"layers.{i + 4}.") for i in range(4)),
    (r"\.up\.conv\.", ".shuf.conv.0."),
    (r"\.up\.norm\.", ".shuf.conv.1."),
    (r"\.skip_norm\.", ".bn."),
    (r"^up\.conv\.", "layers.8.conv.0."),
    (r"^residual\.(\d)\.", r"layers.10.layers.\1.0."),
    (r"^head\.", "layers.11.0."),
)
DEEP_RULES = (
    (r"\.convs\.0\.conv\.", ".conv1.0."),
    (r"\.convs\.0\.norm\.", ".conv1.2."),
    (r"\.convs\.1\.conv\.", ".conv2.0."),
    (r"\.convs\.1\.norm\.", ".conv2.2."),
    (r"\.attention\.", ".conv2.3."),
)
WIDE_RULES = (
    (r"\.convs\.0\.conv\.", ".conv.0."),
    (r"\.convs\.0\.norm\.", ".conv.2."),
    (r"\.attention\.", ".conv.3."),
)
CRITIC_RULES = (
    (r"^stem\.", "0.0."),
    *((rf"^blocks\.{i}\.conv\.", f"{3 * i + 2}.0.") for i in range(3)),
    *((rf"^blocks\.{i}\.down\.", f"{3 * i + 4}.0.") for i in range(3)),
    (r"^blocks\.0\.attention\.", "4.2."),
    (r"^conv\.", "11.0."),
    (r"^head\.", "12.0."),
)
RULES = {
    "deep": GENERATOR_RULES + DEEP_RULES,
    "wide": GENERATOR_RULES + WIDE_RULES,
    "critic": CRITIC_RULES,
}


def weights_for(network: nn.Module, rng: np.random.Generator) -> dict[str, Tensor]:
    """By our names: random numbers that keep activations lively; float16 holds them exactly."""

    def uniform(shape: torch.Size, low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float16)).float()

    tensors = {}
    for name, tensor in network.state_dict().items():
        leaf = name.rpartition(".")[2]
        if leaf == "num_batches_tracked":
            tensors[name] = torch.tensor(1000)
        elif leaf == "running_var":
            tensors[name] = uniform(tensor.shape, 0.5, 1.5)
        elif leaf == "gamma":
            tensors[name] = uniform(tensor.shape, 0.45, 0.75)
        elif tensor.ndim > 1:
            bound = (6 / tensor[0].numel()) ** 0.5
            tensors[name] = uniform(tensor.shape, -bound, bound)
        elif leaf == "weight":
            tensors[name] = uniform(tensor.shape, 0.7, 1.4)
        else:
            tensors[name] = uniform(tensor.shape, -0.3, 0.3)
    return tensors


def unfold(tensors: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    """Into DeOldify's tensors: spectral norm everywhere but in the encoder and the last `up`."""
    unfolded = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 3 or name.startswith("encoder."):
            unfolded[name] = tensor
        elif name == "up.conv.weight":
            g = rng.uniform(2, 4, (len(tensor), 1, 1, 1))
            unfolded[f"{name}_g"] = torch.from_numpy(g.astype(np.float16)).float()
            unfolded[f"{name}_v"] = tensor
        else:
            matrix = tensor.flatten(1)
            u = torch.from_numpy(rng.normal(size=len(matrix))).float()
            for _ in range(15):  # near the top singular value, but not at it, as after training
                u = normalize(matrix @ (matrix.T @ u), dim=0)
            v = normalize(matrix.T @ u, dim=0)
            unfolded[f"{name}_orig"] = tensor
            unfolded[f"{name}_u"], unfolded[f"{name}_v"] = u.half().float(), v.half().float()
    return unfolded


def rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def stills(network: UNet, name: str) -> dict[str, Tensor]:
    """What a still is made of and into, at every render factor of `tiny.RENDER_FACTORS`."""
    steps = {}
    for render_factor in tiny.RENDER_FACTORS:
        colorizer = exact(network, render_factor)
        final = colorize_array(tiny.picture(), colorizer, edges="bilinear")
        made = {
            "square": colorizer.gray,
            "painted": colorizer.painted,
            "final": torch.from_numpy(final),
        }
        for step, tensor in made.items():
            steps[f"{name}_{render_factor}_{step}"] = tensor.contiguous()
    return steps


def main() -> None:
    rng = np.random.default_rng(1)
    frozen, pictures = {}, {}
    for name, make in NETWORKS.items():
        tensors = unfold(weights_for(make(), rng), rng)
        tensors = {rename(key, RULES[name]): tensor for key, tensor in tensors.items()}
        with TemporaryDirectory() as folder:
            path = Path(folder) / "tiny.pth"
            torch.save(tensors, path)
            network = load_critic(path) if name == "critic" else load_generator(path)
        for key, tensor in tensors.items():
            frozen[f"{name}/{key}"] = tensor.half() if tensor.is_floating_point() else tensor
        for size in SIZES[name]:
            answer = network(tiny.question(size))
            print(f"{name} {size}: mean {answer.mean():.3f}, spread {answer.std():.3f}")
            frozen[f"{name}_out_{size}"] = answer
        if isinstance(network, UNet):
            pictures |= stills(network, name)
    save_file(frozen, tiny.PATH)
    save_file(pictures, tiny.STILLS)


if __name__ == "__main__":
    main()
