"""The settings that `Colorizer` reads. Imports no torch."""

import math
from dataclasses import dataclass

from vidcolor.errors import VidcolorError

RENDER_FACTORS = range(4, 65)
"""Below 4 the generator's input has too few pixels; above 64 memory grows without visible gain."""

PRECISIONS = ("auto", "fp32", "fp16", "bf16")


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """How a `Colorizer` colors. Raises VidcolorError for values out of range."""

    render_factor: int | None = None
    """Size of the generator's input, 4 to 64: the side of a square of its area, in
    units of 16 pixels. None: the model's own."""
    precision: str = "auto"
    """"fp32", "fp16", "bf16", or "auto": fp16 on a GPU, bf16 on a CPU that has it, else fp32.
    Where numbers overflow in it, the colorizer continues in a wider one."""
    batch_size: int | None = None
    """Frames that go through the generator together; None: what memory allows."""
    saturation: float = 1.0
    """Factor on the chroma: 0 is gray, 1 as the model made it."""
    hue: float = 0.0
    """Degrees by which the chroma is rotated, from Cb towards Cr."""

    def __post_init__(self) -> None:
        if self.render_factor is not None and self.render_factor not in RENDER_FACTORS:
            raise VidcolorError(
                f"render factor {self.render_factor} is out of range; "
                f"use {RENDER_FACTORS.start} to {RENDER_FACTORS.stop - 1}"
            )
        if self.precision not in PRECISIONS:
            raise VidcolorError(
                f"unknown precision {self.precision!r}; use one of {', '.join(PRECISIONS)}"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise VidcolorError(f"batch size {self.batch_size} is out of range; use 1 or more")
        if not 0 <= self.saturation < math.inf:
            raise VidcolorError(f"saturation {self.saturation} is out of range; use 0 or more")
        if not math.isfinite(self.hue):
            raise VidcolorError(f"hue {self.hue} is not an angle in degrees")
