"""References, hints and a palette as parts of what is said about the pieces of a film."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.chroma.upsample import upsample
from vidcolor.control.align import Aligned, align
from vidcolor.control.hints import Hint, digest_of_hints, load_hints
from vidcolor.control.piece import Part
from vidcolor.control.propagate import Known, propagate
from vidcolor.control.references import (
    Reference,
    check_references,
    digest_of,
    find_references,
    read_color_still,
)
from vidcolor.control.spread import difference
from vidcolor.control.stack import Stack
from vidcolor.control.stills import read_frame
from vidcolor.errors import MediaError
from vidcolor.media.probe import Film
from vidcolor.media.read import LumaFrame
from vidcolor.media.scan import Scan
from vidcolor.pipeline import ColoredFrame, Work
from vidcolor.resume.plan import PlannedPiece

GRID_PIXELS = 100_000
"""Of the pictures on which colors are carried, about as many."""

SMALL = (32, 32)
"""Size at which a frame is read beside its own, for which it is read."""

LONGEST = 1500
"""Frames that are in hand at a time, in files. What is known of later ones is not carried further
back; what is known of earlier ones goes on through the last frame in hand."""


@dataclass(frozen=True)
class Corrections:
    """What is known of some frames of a film; speaks about pieces as `film_control` asks."""

    references: tuple[Reference, ...] = ()
    hints: tuple[Hint, ...] = ()

    @classmethod
    def load(
        cls, film: Film, scan: Scan, references: Path | None = None, hints: Path | None = None
    ) -> Corrections:
        """From a folder of stills and a file of hints, checked against the film.

        Raises VidcolorError, in one line, for whatever cannot be carried out.
        """
        said = load_hints(hints, film, scan) if hints else ()
        stills = find_references(references) if references else ()
        check_references(stills, scan.frames)
        for still in stills:
            frame = read_frame(film, scan, still.frame, SMALL)
            fitted(still, grid_luma(frame, aspect_of(film)), film.path)
        return cls(stills, said)

    def __call__(self, planned: PlannedPiece, work: Work) -> Part | None:
        frames = range(planned.first_frame, planned.first_frame + planned.frames)
        stills = tuple(one for one in self.references if one.frame in frames)
        hints = tuple(one for one in self.hints if one.frame in frames)
        if not stills and not hints:
            return None
        return Carry(work.film.path, aspect_of(work.film), planned.first_frame, stills, hints)


@dataclass(frozen=True)
class Carry(Part):
    """The references and hints of one piece, carried to all of its frames."""

    film: Path
    aspect: float
    """Width of the picture over its height."""
    first_frame: int
    """Number of the piece's first frame."""
    references: tuple[Reference, ...]
    hinted: tuple[Hint, ...]

    @property
    def digest(self) -> str:
        stills = [f"{one.frame} {digest_of(one.path)}" for one in self.references]
        return f"references {stills} hints {digest_of_hints(self.hinted)}"

    def carry(self, frames: Iterator[ColoredFrame]) -> Iterator[ColoredFrame]:
        number = self.first_frame
        last: _Before | None = None
        while len(held := Held(islice(frames, LONGEST), self.aspect)):
            before = last
            for frame, known in self._corrected(held, number, before):
                last = known
                yield frame
            number += len(held)

    def _corrected(
        self, held: Held, first: int, before: _Before | None
    ) -> Iterator[tuple[ColoredFrame, _Before]]:
        """The frames in hand, of which the first has this number, with other colors."""
        # The frame before them, whose colors are known by now, is the first of this shot.
        lead = 0 if before is None else 1
        changes = [*self._changes(held, first, lead)]
        stills = [*self._stills(held, first, lead)]
        if before is not None:
            changes += [Known(0, *before.change)] if before.change else []
            stills += [Known(0, *before.colors)] if before.colors else []

        def luma(number: int) -> NDArray:
            return before.luma if before and number == 0 else held.luma(number - lead)

        count = len(held) + lead
        carried = [propagate(luma, count, known) if known else None for known in (changes, stills)]
        for number in range(count):
            change, colors = (next(one) if one else None for one in carried)
            if number < lead:
                continue
            chroma = held.colors(number - lead)
            if change:
                chroma = chroma + change.trust * change.values
            if colors:
                chroma = chroma + colors.trust * (colors.values - chroma)
            chroma = chroma.clip(-0.5, 0.5).astype(np.float32)
            kept = colors and (chroma, colors.trust)
            yield held.frame(number - lead, chroma), _Before(luma(number), change, kept)

    def _stills(self, held: Held, first: int, lead: int) -> Iterator[Known]:
        """The references of the frames in hand. Raises MediaError for one that does not fit."""
        for still in self.references:
            if not 0 <= still.frame - first < len(held):
                continue
            aligned = fitted(still, held.luma(still.frame - first), self.film)
            yield Known(still.frame - first + lead, aligned.planes, aligned.weights)

    def _changes(self, held: Held, first: int, lead: int) -> Iterator[Known]:
        """What the hints of the frames in hand change there."""
        for frame in sorted({hint.frame for hint in self.hinted}):
            if not 0 <= frame - first < len(held):
                continue
            luma, colors = held.luma(frame - first), held.colors(frame - first)
            hints = [hint for hint in self.hinted if hint.frame == frame]
            change = upsampled(difference(luma, hints, colors), luma)
            yield Known(frame - first + lead, change, np.ones_like(luma, np.float32))


def fitted(still: Reference, luma: NDArray, film: Path) -> Aligned:
    """A reference on its frame, of this luma. Raises MediaError where it shows another one."""
    color = read_color_still(still.path)
    aligned = align(color.luma, color.chroma, luma)
    if aligned is None:
        raise MediaError(
            f"{still.path} does not show frame {still.frame} of {film}; correct its number, write "
            "that frame anew with `vidcolor stills`, or remove it"
        )
    return aligned


class _Before(NamedTuple):
    """What is known of the last frame that was in hand."""

    luma: NDArray
    """(h, w) uint8"""
    change: tuple[NDArray, NDArray] | None
    """Difference of chroma (2, h, w) and its trust (h, w); None without hints."""
    colors: tuple[NDArray, NDArray] | None
    """Chroma and its trust; None without references."""


class Held:
    """Frames in hand: their planes are in files, the rest in memory."""

    def __init__(self, frames: Iterator[ColoredFrame], aspect: float):
        self._frames: list[ColoredFrame] = []
        self._pixels, self._guides, self._chroma, self._luma = (Stack() for _ in range(4))
        for frame in frames:
            luma = frame.luma
            self._pixels.append(luma.pixels)
            if luma.guide is not None:
                self._guides.append(luma.guide)
            self._chroma.append(frame.chroma.float().cpu().numpy())
            self._luma.append(grid_luma(luma, aspect))
            self._device = frame.chroma.device
            nothing = np.empty((0, 0), np.uint8)
            small = luma._replace(pixels=nothing, guide=None)
            self._frames.append(frame._replace(luma=small, chroma=torch.empty(0)))

    def __len__(self) -> int:
        return len(self._frames)

    def luma(self, number: int) -> NDArray:
        """(h, w) uint8, on the grid."""
        return self._luma[number]

    def colors(self, number: int) -> NDArray:
        """The network's chroma (2, h, w), enlarged to the grid."""
        return upsampled(self._chroma[number], self._luma[number])

    def frame(self, number: int, chroma: NDArray) -> ColoredFrame:
        """As it came, with this chroma."""
        frame = self._frames[number]
        guide = self._guides[number] if len(self._guides) else None
        luma = frame.luma._replace(pixels=self._pixels[number], guide=guide)
        return frame._replace(luma=luma, chroma=torch.from_numpy(chroma).to(self._device))


def aspect_of(film: Film) -> float:
    """Width of the picture, as it is shown, over its height."""
    return float(film.width * film.sample_aspect / film.height)


def grid_luma(luma: LumaFrame, aspect: float) -> NDArray:
    """(h, w) uint8: the luma on which colors are carried, of square pixels.

    aspect: width of the picture over its height.
    """
    pixels = luma.pixels
    if luma.guide is not None and luma.guide.size > pixels.size:
        pixels = luma.guide
    height = math.sqrt(min(GRID_PIXELS, pixels.size) / aspect)
    size = max(32, round(height * aspect)), max(32, round(height))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def upsampled(chroma: NDArray, luma: NDArray) -> NDArray:
    """(2, h', w') to the size of luma (h, w) uint8, along its edges."""
    guide = torch.from_numpy(luma)[None, None]
    return upsample(torch.from_numpy(np.ascontiguousarray(chroma))[None], guide)[0].numpy()
