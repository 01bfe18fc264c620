"""A generator on a device: a batch of luma in, a batch of chroma out."""

import copy
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from vidcolor.chroma import matrices
from vidcolor.errors import DeviceError, WeightsError
from vidcolor.inference.device import (
    choose_device,
    choose_precision,
    enough_memory,
    free_memory,
    is_out_of_memory,
    precision_name,
    wider_precision,
)
from vidcolor.inference.settings import RENDER_FACTORS, RenderSettings
from vidcolor.models.network import ChromaGenerator, Generator, RgbGenerator
from vidcolor.weights.catalog import MODELS
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.fetch import Progress, silent
from vidcolor.weights.resolve import resolve

log = logging.getLogger(__name__)

LARGEST_BATCH = 32
MEMORY_SHARE = 0.7
"""Share of a GPU's free memory that a batch is planned for."""

LARGEST_OUTPUT = 1.0
"""Chroma is in [-0.5, 0.5] and RGB in [0, 1]; larger values are not colors."""

SMALLER = (0.8, 0.65, 0.5, 0.35, 0.25)
"""Shares of a render factor that are tried to name one that fits into memory."""


class Colorizer:
    """Colors batches of luma with one generator on one device.

    generator: a network as `load_generator` returns it. It is not changed, so that several
    colorizers can use one; what they need in another precision or on another device is a copy.
    settings: how to color; the defaults where there are none.
    device: `auto`, or a name that torch knows, such as `cpu`, `cuda:1` or `mps`.
    on_note: called with one line when the precision has to be changed; by default that is logged.
    Raises DeviceError where the device is not there, or lacks the memory for the weights.

    `Colorizer.load` finds, downloads and loads a model by its name.
    """

    def __init__(
        self,
        generator: Generator,
        settings: RenderSettings | None = None,
        *,
        device: torch.device | str = "auto",
        on_note: Callable[[str], object] = log.warning,
    ):
        settings = settings or RenderSettings()
        self.name = generator.name
        self.model = generator.name
        self.device = choose_device(str(device))
        self.dtype = choose_precision(settings.precision, self.device)
        self._on_note = on_note
        if self.device.type == "cuda" and self.dtype != torch.float32:
            generator = generator.for_tensor_cores()
        self._given = generator if self.dtype != torch.float32 else None
        self.generator = self._on_device(generator)
        self._set(settings)

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] = "lite",
        settings: RenderSettings | None = None,
        *,
        device: torch.device | str = "auto",
        weights_dir: str | os.PathLike[str] | None = None,
        on_progress: Progress = silent,
        on_note: Callable[[str], object] = log.warning,
    ) -> Self:
        """The colorizer of a model, which is downloaded if it is not on this machine.

        model: `lite`, `video`, `stable`, `artistic`, or the path of a .pth or .safetensors file.
        weights_dir: where models are looked for first, and downloaded to.
        on_progress: called with (bytes there, bytes of the file) while a model is downloaded.
        The others as for `Colorizer`.
        Raises WeightsError if there is no such model, or it is damaged or cannot be fetched;
        DeviceError as `Colorizer` does.
        """
        name = os.fspath(model)
        folder = None if weights_dir is None else Path(weights_dir)
        generator = load_generator(resolve(name, folder, on_progress=on_progress))
        settings = settings or RenderSettings()
        if settings.render_factor is None and name in MODELS:
            settings = replace(settings, render_factor=MODELS[name].render_factor)
        colorizer = cls(generator, settings, device=device, on_note=on_note)
        colorizer.model = name if name in MODELS else Path(name).name
        return colorizer

    def with_settings(self, settings: RenderSettings) -> Self:
        """The same network on the same device under other settings.

        The weights are shared; they are copied only where `settings` need another precision.
        """
        if choose_precision(settings.precision, self.device) != self.dtype:
            generator = self._given or self.generator
            other = type(self)(generator, settings, device=self.device, on_note=self._on_note)
            other.model = self.model
            return other
        other = copy.copy(self)
        other._set(settings)
        return other

    def _set(self, settings: RenderSettings) -> None:
        """Take over `settings`, but for their precision."""
        self.settings = settings
        self.render_factor = settings.render_factor or self.generator.default_render_factor
        self.batch_size = settings.batch_size or self._default_batch()

    @property
    def makes_rgb(self) -> bool:
        """Whether the generator makes RGB pictures, see `rgb`, and not chroma alone."""
        return isinstance(self.generator, RgbGenerator)

    @property
    def chroma_device(self) -> torch.device:
        """Where chroma is filtered and enlarged: on the GPU where CUDA made it; else on the CPU,
        since torch on MPS cannot be used from several threads.
        """
        return self.device if self.device.type == "cuda" else torch.device("cpu")

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
        """Side, in pixels, of the square that has about the area of the generator's input."""
        return 16 * self.render_factor

    def luma_size(self, width: float, height: float) -> tuple[int, int]:
        """(width, height) of the luma to give for a picture of these proportions."""
        return self.generator.input_size(self.render_size, width, height)

    @property
    def takes_hints(self) -> bool:
        """Whether `chroma` takes hints."""
        return isinstance(self.generator, ChromaGenerator) and self.generator.takes_hints

    def chroma(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """Color a batch.

        luma: (B, 1, h, w) uint8, full range, of `luma_size`, on any device
        hints: (B, 3, h, w) float32, on any device: requested BT.601 chroma in
        [-0.5, 0.5] where the third plane, a mask of 0 and 1, is 1; elsewhere, the first two are
        ignored. The network spreads these colors over their surroundings. None: no hints.
        -> (B, 2, h', w') float32 on the colorizer's device: BT.601 chroma in [-0.5, 0.5], with the
        settings' saturation and hue, which change the hinted colors, too.
        Raises DeviceError where not even one frame fits into memory, WeightsError where the
        weights lead to no finite colors or the model takes no hints, ValueError for hints of
        another size than luma.
        """
        if hints is None:
            return self._in_batches(self._chroma, luma)
        if not self.takes_hints:
            raise WeightsError(f"the model {self.name} takes no hints; use another one")
        if hints.shape != (len(luma), 3, *luma.shape[-2:]):
            raise ValueError(f"hints of {tuple(hints.shape)} do not fit luma {tuple(luma.shape)}")
        return self._in_batches(self._chroma, luma, hints)

    def rgb(self, luma: Tensor) -> Tensor:
        """Color a batch with a generator that makes RGB; the pictures as DeOldify has them.

        luma: as for `chroma` -> (B, 3, h, w) uint8 RGB on the CPU, truncated to whole numbers, of
        the generator's own luma, without the settings' saturation and hue. Raises as `chroma` does.
        """
        return self._in_batches(lambda luma: self._rgb(luma).cpu(), luma)

    def _chroma(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        if isinstance(self.generator, RgbGenerator):
            chroma = matrices.rgb_to_chroma(self._rgb(luma).float() / 255)
        else:
            assert isinstance(self.generator, ChromaGenerator)
            follow = self.generator.chroma
            chroma = self._finite(lambda luma: follow(luma, hints), luma)
        return matrices.trim(chroma, self.settings.saturation, self.settings.hue)

    def _rgb(self, luma: Tensor) -> Tensor:
        assert isinstance(self.generator, RgbGenerator)
        return (self._finite(self.generator.rgb, luma) * 255).to(torch.uint8)

    def _finite(self, make: Callable[[Tensor], Tensor], luma: Tensor) -> Tensor:
        """What the generator makes of (B, 1, h, w) uint8."""
        made = make(luma.float() / 255)
        # One comparison finds numbers out of range, infinity and NaN.
        if not made.abs().amax() <= LARGEST_OUTPUT:
            raise _NotFiniteError
        return made

    @torch.inference_mode()
    def _in_batches(self, step: Callable[..., Tensor], *frames: Tensor) -> Tensor:
        """Run `step` over the frames, which may come as several tensors.

        Out of memory halves the batch, and numbers that are not finite widen the precision, for
        good; then the batch is tried again.
        """
        results = []
        done = 0
        before = self.dtype
        while done < len(frames[0]):
            batch = [part[done : done + self.batch_size] for part in frames]
            try:
                result = self._try(step, *batch)
            except _NotFiniteError:
                self._widen()
                continue
            if result is not None:
                results.append(result)
                done += len(batch[0])
            elif len(batch[0]) > 1:
                self.batch_size = len(batch[0]) // 2
            else:
                raise DeviceError(self._too_large())
        if self.dtype != before:
            names = (precision_name(dtype) for dtype in (before, self.dtype))
            self._on_note("{} gave numbers that are not finite; continuing in {}".format(*names))
        with enough_memory("colors were put together", "use a smaller --batch-size"):
            return torch.cat(results)

    def _try(self, step: Callable[..., Tensor], *batch: Tensor) -> Tensor | None:
        """The step's result, or None, with all memory given back, if it ran out."""
        try:
            return step(*(part.to(self.device) for part in batch))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        self._release_memory()
        return None

    def _widen(self) -> None:
        """Take the next wider precision. Raises WeightsError where there is none."""
        wider = wider_precision(self.dtype, self.device)
        if wider is None:
            raise WeightsError(
                f"the weights of {self.name} give no finite colors, even in fp32: they are damaged "
                "or wrongly scaled; fetch them again, or use another --model"
            )
        _ = self.fingerprint  # remembered: it stays that of the weights that the run began with
        self.dtype = wider
        self.generator = self._on_device(self._given or self.generator)
        if wider == torch.float32:
            self._given = None
        if self.settings.batch_size is None:
            self.batch_size = min(self.batch_size, self._default_batch())

    def _on_device(self, generator: Generator) -> Generator:
        """The generator in `dtype` on `device`: a copy that shares the tensors that are so already.

        Raises DeviceError if they do not fit there.
        """
        converted: dict[int, object] = {}
        try:
            for tensor in (*generator.parameters(), *generator.buffers()):
                dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
                layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
                data = tensor.detach().to(self.device, dtype, memory_format=layout)
                is_parameter = isinstance(tensor, nn.Parameter)
                converted[id(tensor)] = nn.Parameter(data, False) if is_parameter else data
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                f"{self.name} does not fit into the memory of {self.device}; "
                "use --model lite or --device cpu"
            ) from error
        return copy.deepcopy(generator, converted).eval()

    def _default_batch(self) -> int:
        """A first guess that running out of memory may still halve."""
        free = free_memory(self.device)
        if free is None:
            return self.generator.cpu_batch(self.render_size)
        frame = self.generator.memory_per_frame(self.render_size)
        return int(min(LARGEST_BATCH, max(1, free * MEMORY_SHARE / frame)))

    def _too_large(self) -> str:
        """Try smaller render factors on an empty frame, to name one that really fits."""
        message = f"a single frame at render factor {self.render_factor} does not fit into memory"
        for share in SMALLER:
            factor = int(self.render_factor * share)
            if factor in RENDER_FACTORS and self._fits(factor):
                return f"{message}; --render-factor {factor} does"
        return f"{message}, nor does a much smaller one; use --model lite or --device cpu"

    def _fits(self, factor: int) -> bool:
        width, height = self.generator.input_size(16 * factor, 1, 1)
        luma = torch.zeros(1, 1, height, width, dtype=torch.uint8)
        try:
            return self._try(self._chroma, luma) is not None
        except _NotFiniteError:
            return True

    def _release_memory(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


class _NotFiniteError(ArithmeticError):
    """The generator's output holds NaN, infinity, or numbers out of the range of colors."""
