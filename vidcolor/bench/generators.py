"""Networks of the real shapes with random weights, one that costs nothing, and their rates."""

from collections.abc import Iterator, Mapping
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vidcolor.bench.rows import Row, spent
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.device import describe, has_bf16
from vidcolor.inference.settings import RenderSettings
from vidcolor.models.lite_mobile import MobileLite
from vidcolor.models.network import ChromaGenerator, Generator
from vidcolor.models.unet import DEEP, WIDE, UNet

NETWORKS = ("lite", "deep", "wide")
SIDE = {"cpu": 1536, "cuda": 8192}
"""Rows of the square matrices by which a device's rate is measured."""


class Free(ChromaGenerator):
    """Fixed chroma at the sizes of `lite`: what is left is the cost of everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.made = nn.Parameter(torch.linspace(-0.3, 0.3, 2 * 32 * 64).reshape(1, 2, 32, 64))

    @property
    def name(self) -> str:
        return "free"

    @property
    def live_channels(self) -> int:
        return 8

    @property
    def default_render_factor(self) -> int:
        return 12

    @classmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        return False

    @classmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        return cls()

    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        return 256, 128

    def chroma(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        return self.made.float().expand(len(luma), -1, -1, -1)


def network(name: str) -> Generator:
    """With random weights, as it is trained: batch norms are not folded."""
    torch.manual_seed(0)
    made = MobileLite(norm=True) if name == "lite" else UNet(DEEP if name == "deep" else WIDE)
    return made.eval().requires_grad_(False)


def random_luma(colorizer: Colorizer, frames: int) -> Tensor:
    """(frames, 1, h, w) uint8 of a picture of 16:9."""
    width, height = colorizer.luma_size(16, 9)
    return torch.randint(0, 256, (frames, 1, height, width), dtype=torch.uint8)


def work_of(colorizer: Colorizer) -> float:
    """GFLOP of one frame."""
    with FlopCounterMode(display=False) as counter:
        colorizer.chroma(random_luma(colorizer, 1))
    return counter.get_total_flops() / 1e9


def matrix_rate(device: torch.device, dtype: torch.dtype, side: int | None = None) -> float:
    """GFLOP/s of a product of two large matrices: the best of several."""
    side = side or SIDE.get(device.type, SIDE["cpu"])
    one = torch.rand(side, side, device=device).to(dtype)
    best = min(spent(lambda: _settled(one @ one)).wall for _ in range(4))
    return 2 * side**3 / best / 1e9


def generator_rows(
    name: str, factor: int | None, device: torch.device, frames: int, side: int | None
) -> Iterator[Row]:
    """The network alone: its rate by precision and batch, and over the device's."""
    whole = network(name).for_inference()
    assert isinstance(whole, Generator)
    precisions = ["fp32"]
    if device.type == "cuda":
        precisions += ["fp16", "bf16"]
    elif has_bf16(device):
        precisions.append("bf16")
    for precision in precisions:
        for batch in (1, 4):
            settings = RenderSettings(render_factor=factor, precision=precision, batch_size=batch)
            colorizer = Colorizer(whole, settings, device=device)
            gflop = work_of(colorizer)
            luma = random_luma(colorizer, max(frames, batch))
            took = spent(lambda made=colorizer, luma=luma: _settled(made.chroma(luma)))
            fps = len(luma) / took.wall
            rate = matrix_rate(device, colorizer.dtype, side)
            yield Row(
                section="generator alone",
                name=f"{name} at {colorizer.render_factor}, {precision}, batch of {batch}",
                fps=fps,
                over=f"matrix rate of {describe(device)}, {rate:.0f} GFLOP/s",
                ratio=fps * gflop / rate,
                ours=1e3 * took.ours / len(luma),
                note=f"{gflop:.0f} GFLOP a frame, {fps * gflop:.0f} GFLOP/s",
            )


def _settled(made: Tensor) -> Tensor:
    """Wait for what a GPU still computes."""
    if made.is_cuda:
        torch.cuda.synchronize(made.device)
    return made
