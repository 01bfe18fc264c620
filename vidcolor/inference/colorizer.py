"""A generator on a device: a batch of luma in, a batch of chroma out."""

import hashlib
import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from vidcolor.chroma import matrices
from vidcolor.errors import DeviceError
from vidcolor.inference.device import choose_device, choose_precision, free_memory, is_out_of_memory
from vidcolor.inference.settings import RENDER_FACTORS, RenderSettings
from vidcolor.models.lite import STRIDE, Lite
from vidcolor.models.unet import UNet
from vidcolor.weights.catalog import default_render_factor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of ImageNet's RGB, which DeOldify's networks read and write."""

LIVE_CHANNELS = {"deep": 1600, "wide": 1400, "lite": 60}
"""Feature maps at full render size that are alive at the peak of one forward pass."""


class Colorizer:
    """Colors batches of luma with one generator.

    generator: a module of `vidcolor.models` as `weights.checkpoint.load_generator` returns it.
    device: `auto`, or a name that torch knows. Raises DeviceError where it is not there.
    """

    def __init__(
        self,
        generator: UNet | Lite,
        settings: RenderSettings | None = None,
        *,
        device: torch.device | str = "auto",
    ):
        self.settings = settings = settings or RenderSettings()
        self.name = generator.name
        self.device = choose_device(str(device))
        self.dtype = choose_precision(settings.precision, self.device)
        self.generator = generator.eval().requires_grad_(False)
        self.generator.to(self.device, self.dtype).to(memory_format=torch.channels_last)
        self.render_factor = settings.render_factor or default_render_factor(self.name)
        self.batch_size = settings.batch_size or self._affordable_batch()

    @property
    def paints(self) -> bool:
        """DeOldify's networks paint square RGB pictures; `lite` makes chroma of any shape."""
        return self.name != "lite"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights as they are used: of their names and numbers in `dtype`."""
        digest = hashlib.sha256(self.name.encode())
        for name, tensor in self.generator.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @property
    def render_size(self) -> int:
        """Side, in pixels, of the square that the generator sees (of its area, for `lite`)."""
        return 16 * self.render_factor

    def luma_size(self, width: float, height: float) -> tuple[int, int]:
        """(width, height) of the gray picture to give for a picture of these proportions."""
        if self.paints:
            return self.render_size, self.render_size
        stretch = math.sqrt(width / height)
        sides = (self.render_size * stretch, self.render_size / stretch)
        across, down = (max(1, round(side / STRIDE)) * STRIDE for side in sides)
        return across, down

    def chroma(self, luma: Tensor) -> Tensor:
        """Color a batch.

        luma: (B, 1, h, w) uint8, full range, of `luma_size`
        -> (B, 2, h', w') float32 on the colorizer's device, BT.601 chroma in [-0.5, 0.5], trimmed
        as set.
        Raises DeviceError where not even one frame fits into memory.
        """
        if self.paints:
            chroma = matrices.rgb_to_chroma(self._in_batches(self._paint, luma).float() / 255)
        else:
            chroma = self._in_batches(self._lite_chroma, luma)
        return matrices.trim(chroma, self.settings.saturation, self.settings.hue)

    def paint(self, gray: Tensor) -> Tensor:
        """Paint square pictures as DeOldify does: normalize, forward, denormalize, truncate.

        gray: (B, 1, S, S) uint8, S = render_size -> (B, 3, S, S) uint8 RGB on the CPU.
        """
        return self._in_batches(self._paint, gray).cpu()

    def _paint(self, gray: Tensor) -> Tensor:
        mean = torch.tensor(MEAN, device=self.device)[:, None, None]
        std = torch.tensor(STD, device=self.device)[:, None, None]
        normal = ((gray.float() / 255).expand(-1, 3, -1, -1) - mean) / std
        normal = normal.to(self.dtype, memory_format=torch.channels_last)
        painted = self.generator(normal).float() * std + mean
        return (painted.clamp(0, 1) * 255).to(torch.uint8)

    def _lite_chroma(self, luma: Tensor) -> Tensor:
        return self.generator((luma.float() / 255).to(self.dtype)).float()

    @torch.inference_mode()
    def _in_batches(self, step: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
        """Run `step` over the frames; out of memory halves the batch and tries again."""
        results = []
        done = 0
        while done < len(frames):
            batch = frames[done : done + self.batch_size]
            result = self._try(step, batch)
            if result is not None:
                results.append(result)
                done += len(batch)
            elif len(batch) > 1:
                self.batch_size = len(batch) // 2
            else:
                raise DeviceError(self._too_large())
        return torch.cat(results)

    def _try(self, step: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor | None:
        """The step's result, or None, with all memory given back, if it ran out."""
        try:
            return step(batch.to(self.device))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        self._release_memory()
        return None

    def _affordable_batch(self) -> int:
        """A first guess that out-of-memory may still halve."""
        free = free_memory(self.device)
        if free is None:
            return 4 if not self.paints else 1 if self.render_size > 320 else 2
        frame = self.render_size**2 * LIVE_CHANNELS[self.name] * self.dtype.itemsize
        return int(min(32, max(1, free * 0.7 / frame)))

    def _too_large(self) -> str:
        """Try smaller render factors on an empty frame, to name one that really fits."""
        message = f"a single frame at render factor {self.render_factor} does not fit into memory"
        for share in (0.8, 0.65, 0.5, 0.35, 0.25):
            factor = int(self.render_factor * share)
            if factor in RENDER_FACTORS and self._fits(factor):
                return f"{message}; --render-factor {factor} does"
        return f"{message}, nor does a much smaller one; use --model lite or --device cpu"

    def _fits(self, factor: int) -> bool:
        gray = torch.zeros(1, 1, 16 * factor, 16 * factor, dtype=torch.uint8)
        return self._try(self._paint if self.paints else self._lite_chroma, gray) is not None

    def _release_memory(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()
