"""All that is said about the colors of one piece, as the pipeline takes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from vidcolor.media.read import LumaFrame
from vidcolor.pipeline import ColoredFrame


class Part:
    """One thing that is said; this one says nothing. See `pipeline.Control` for the methods."""

    @property
    def digest(self) -> str:
        """Text that differs where the colors may."""
        return ""

    def hints(self, frames: Sequence[LumaFrame]) -> Tensor | None:
        return None

    def adjust(self, chroma: Tensor, luma: Tensor) -> Tensor:
        return chroma

    def carry(self, frames: Iterator[ColoredFrame]) -> Iterator[ColoredFrame]:
        return frames


@dataclass(frozen=True)
class PieceControl:
    """A `pipeline.Control` of several parts, which take their turns in this order.

    At most one of them has hints for a frame.
    """

    parts: tuple[Part, ...]

    @property
    def digest(self) -> str:
        return "\n".join(part.digest for part in self.parts)

    def hints(self, frames: Sequence[LumaFrame]) -> Tensor | None:
        given = (part.hints(frames) for part in self.parts)
        return next((hints for hints in given if hints is not None), None)

    def adjust(self, chroma: Tensor, luma: Tensor) -> Tensor:
        for part in self.parts:
            chroma = part.adjust(chroma, luma)
        return chroma

    def carry(self, frames: Iterator[ColoredFrame]) -> Iterator[ColoredFrame]:
        for part in self.parts:
            frames = part.carry(frames)
        return frames
