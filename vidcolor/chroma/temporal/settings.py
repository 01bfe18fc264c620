"""Settings of the temporal filter. Imports neither torch nor OpenCV."""

from dataclasses import dataclass

from vidcolor.errors import VidcolorError

STRENGTHS = ("off", "normal", "strong")


@dataclass(frozen=True, kw_only=True)
class SmoothSettings:
    """How strongly chroma is averaged over time."""

    strength: str = "normal"
    """One of "off", "normal" and "strong"; off returns every frame's chroma unchanged."""

    def __post_init__(self) -> None:
        if self.strength not in STRENGTHS:
            raise VidcolorError(
                f"unknown smoothing {self.strength!r}; use one of {', '.join(STRENGTHS)}"
            )

    @property
    def lookahead(self) -> int:
        """Following frames that each frame is averaged with."""
        return {"off": 0, "normal": 4, "strong": 8}[self.strength]

    @property
    def history(self) -> int:
        """Largest weight of the past, in frames, against the new frame's weight of 1."""
        return {"off": 0, "normal": 100, "strong": 400}[self.strength]
