"""Gray pictures of several sizes below one another in one, so that one pipe carries them.

With a pipe for each, ffmpeg 5.1 waits for ever.
"""

import math
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import ffmpeg
import numpy as np

from vidcolor.media.pixels import planar_name


@dataclass(frozen=True)
class Stack:
    """What pictures lie in it, from top to bottom."""

    sizes: tuple[tuple[int, int], ...]
    """(width, height) of each."""
    depth: int
    """Bits of every sample."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the whole."""
        return sum(height for _, height in self.sizes), max(width for width, _ in self.sizes)

    @property
    def picture_bytes(self) -> int:
        """Of the whole."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        return np.uint8 if self.depth == 8 else np.uint16

    def read(self, pipe: BufferedReader) -> list[np.ndarray] | None:
        """Each picture (h, w) of the next whole, as deep as this; None at the end.

        None of them keeps the memory of another.
        """
        pictures = []
        for width, height in self.sizes:
            rows = np.empty((height, self.shape[1]), self.dtype)
            if pipe.readinto(rows.data.cast("B")) < rows.nbytes:
                return None
            pictures.append(rows[:, :width])
        return pictures

    def eight_bits(self, picture: np.ndarray) -> np.ndarray:
        """A picture as it was before it came here, if it had 8 bits."""
        return picture if self.depth == 8 else (picture >> (self.depth - 8)).astype(np.uint8)

    def filtered(self, pictures: list[Any]) -> Any:
        """The whole as an ffmpeg-python stream. pictures: gray ones, of 8 bits or as deep as this.

        Those of 8 bits get zeros or a repetition of their upper bits below.
        """
        if len(pictures) == 1 and self.depth == 8:
            return pictures[0]
        same = [
            picture.filter("scale", in_range="full", out_range="full")
            .filter("format", planar_name(None, self.depth))
            .filter("pad", self.shape[1], "ih")
            for picture in pictures
        ]
        return ffmpeg.filter(same, "vstack", inputs=len(same))
