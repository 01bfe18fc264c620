"""The contract of all networks: callers use it and never compare names.

A network is a `Network`: it is recognized by its tensors (`matches`), built for them (`empty`) and
says what a file must hold to be recognized again (`metadata`). A network that colors is, besides,
either a `ChromaGenerator` or an `RgbGenerator`; what reads pictures, chooses batches or exports
asks the properties and methods of `Generator`. `vidcolor.models.registry` lists all networks.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

Shape = TypeVar("Shape")

LARGEST_WIDTH = 8192
"""Channels; a file that claims more is damaged."""
MOST_STAGES = 64
"""Entries of a list of dimensions."""


class Network(nn.Module, ABC):
    """A network that a checkpoint file can hold."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the architecture, as messages and files have it."""

    @property
    def metadata(self) -> dict[str, str]:
        """What a safetensors file says beside the tensors, so that `matches` and `empty` work."""
        return {"architecture": self.name}

    @classmethod
    @abstractmethod
    def matches(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
        """Whether a file with these tensors and this metadata holds a network of this class."""

    @classmethod
    @abstractmethod
    def empty(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Self:
        """A network of the dimensions that the file has, to be filled with its tensors.

        Called under `torch.device("meta")`. Raises KeyError for a tensor or entry that the file
        lacks, ValueError or TypeError for dimensions that no network of this class has.
        """

    def for_inference(self) -> Network:
        """This network, or a copy that computes the same with less."""
        return self

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype


class Generator(Network):
    """A network that colors: luma in; chroma or RGB out, see the two subclasses."""

    export_can_train: ClassVar[bool] = True
    """Whether training can start from an exported network, not only from a run's checkpoint."""
    exact_vectors: ClassVar[bool] = False
    """Whether files hold its vectors in float32, with the matrices in float16."""

    @property
    @abstractmethod
    def live_channels(self) -> int:
        """Feature maps of the input's size that are in memory at the peak of one forward pass."""

    @property
    @abstractmethod
    def default_render_factor(self) -> int:
        """Render factor for a file that is none of the published models."""

    @abstractmethod
    def input_size(self, render_size: int, width: float, height: float) -> tuple[int, int]:
        """(width, height) of the luma to give for a picture of these proportions.

        render_size: side of a square, in pixels, that has about the area of that luma.
        """

    def for_tensor_cores(self) -> Generator:
        """This network, or a copy that computes the same in half precision faster on a GPU."""
        return self

    def memory_per_frame(self, render_size: int) -> int:
        """Bytes, roughly, that one frame needs on the device beside the weights."""
        return render_size**2 * self.live_channels * self.dtype.itemsize

    def cpu_batch(self, render_size: int) -> int:
        """How many frames together are fastest on a CPU."""
        del render_size
        return 4


class ChromaGenerator(Generator):
    """A generator that makes chroma."""

    takes_hints: ClassVar[bool] = False
    """Whether it follows sparse chroma."""

    @abstractmethod
    def chroma(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """luma (B, 1, h, w) float32 in [0, 1], of `input_size`, on the weights' device
        -> (B, 2, h', w') float32 BT.601 chroma in [-0.5, 0.5]; h' and w' may be smaller.

        hints: (B, 3, h, w) float32, for networks that take them: chroma where the third plane, a
        mask of 0 and 1, is 1.
        """


class RgbGenerator(Generator):
    """A generator that makes whole pictures, of which only the chroma is used."""

    @abstractmethod
    def rgb(self, luma: Tensor) -> Tensor:
        """luma (B, 1, h, w) float32 in [0, 1], of `input_size`, on the weights' device
        -> (B, 3, h, w) float32 RGB in [0, 1].
        """


def read_shape(kind: type[Shape], text: str) -> Shape:
    """A dataclass of dimensions from the JSON that a file's metadata has.

    Raises ValueError or TypeError where a dimension is none, or larger than any network's.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise TypeError("its shape is not a table of dimensions")
    for name, value in values.items():
        if not _is_plausible(value):
            raise ValueError(f"its dimension {name} is out of range")
    return kind(**values)


def _is_plausible(value: object) -> bool:
    """A word, a number of channels or a short list of such numbers."""
    if isinstance(value, list):
        numbers = [entry for entry in value if isinstance(entry, int)]
        return len(numbers) == len(value) <= MOST_STAGES and all(map(_is_plausible, numbers))
    return isinstance(value, str) or (isinstance(value, int) and 0 <= value <= LARGEST_WIDTH)
