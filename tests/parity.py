"""Comparing with DeOldify's own numbers."""

import numpy as np
from torch import Tensor

from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.models.unet import UNet


class Watched(Colorizer):
    """Remembers what went through: gray square, network output, painted square."""

    gray: Tensor
    output: Tensor
    painted: Tensor

    def rgb(self, luma: Tensor) -> Tensor:
        def remember(_module: object, _inputs: object, output: Tensor) -> None:
            self.output = output

        hook = self.generator.register_forward_hook(remember)
        self.gray, self.painted = luma, super().rgb(luma)
        hook.remove()
        return self.painted


def exact(generator: UNet, render_factor: int) -> Watched:
    """With the settings under which DeOldify's arithmetic is followed step by step."""
    settings = RenderSettings(render_factor=render_factor, precision="fp32")
    return Watched(generator, settings, device="cpu")


def close(what: str, got: np.ndarray, want: np.ndarray, limit: float, share: float = 1.0) -> None:
    """Assert that no value is off by more than `limit`, nor more than `share` of them at all."""
    assert got.shape == want.shape
    error = np.abs(got.astype(np.float64) - want)
    print(f"{what}: at most {error.max():.2g} off, {100 * (error > 0).mean():.4f} % differ")
    assert error.max() <= limit
    assert (error > 0).mean() <= share
