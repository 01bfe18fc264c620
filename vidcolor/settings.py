"""The settings that `colorize_film` reads. Imports no torch."""

import math
from dataclasses import dataclass, field

from vidcolor.chroma.edges import check_edges
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.errors import VidcolorError
from vidcolor.media.containers import EncodeSettings
from vidcolor.resume.plan import Plan
from vidcolor.resume.store import PieceSettings


@dataclass(frozen=True, kw_only=True)
class FilmSettings:
    """How `colorize_film` reads, filters, encodes and resumes."""

    encode: EncodeSettings = field(default_factory=EncodeSettings)
    """Codec, quality, pixel format, comparison."""
    smooth: SmoothSettings = field(default_factory=SmoothSettings)
    """How much colors are filtered over time."""
    edges: str = "guided"
    """"guided": colors are enlarged along the edges of luma. "bilinear": they are interpolated, as
    in DeOldify."""
    pieces: PieceSettings = field(default_factory=PieceSettings)
    """How the film is divided; finished pieces are kept when a run is stopped."""
    start: float | None = None
    """Seconds from the film's beginning; only frames from here on are colored and kept."""
    end: float | None = None
    """Seconds from the film's beginning; only frames before it are colored and kept."""
    deinterlace: bool = False
    """Make one picture of the two fields of interlaced frames."""
    plan: Plan | None = None
    """Pieces that end at shots and are made independently of each other, whatever `pieces` says;
    with a start or an end, those of that part (`stretch_of`). None: the film is read once, and
    divided as it comes."""
    keep: bool = False
    """Leave the finished pieces beside the result, so that a later run makes only those anew whose
    settings have changed. Where there is no plan, every shot is a piece."""
    fresh: bool = False
    """Delete what an earlier run has finished, and start over."""

    def __post_init__(self) -> None:
        check_edges(self.edges)
        for name, seconds in (("start", self.start), ("end", self.end)):
            if seconds is not None and not math.isfinite(seconds):
                raise VidcolorError(f"the {name} ({seconds} s) is no time; give seconds, or None")
        if self.end is not None and self.end <= (self.start or 0):
            raise VidcolorError(
                f"the end ({self.end:g} s) is not after the start ({self.start or 0:g} s)"
            )
        if self.keep and (self.start, self.end) != (None, None):
            raise VidcolorError("of a part of a film nothing is kept; leave start and end out")
