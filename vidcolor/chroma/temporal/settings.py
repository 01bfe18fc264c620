"""How much a film's colors are steadied. Knows no OpenCV."""

from dataclasses import dataclass

from vidcolor.errors import VidcolorError

STRENGTHS = ("off", "normal", "strong")


@dataclass(frozen=True, kw_only=True)
class SmoothSettings:
    """One value, made once, passed down whole."""

    strength: str = "normal"
    """One of STRENGTHS; off passes every frame's chroma on as it came."""

    def __post_init__(self) -> None:
        if self.strength not in STRENGTHS:
            raise VidcolorError(
                f"unknown smoothing {self.strength!r}; use one of {', '.join(STRENGTHS)}"
            )

    @property
    def lookahead(self) -> int:
        """How many of the following frames have a say in a frame's color."""
        return {"off": 0, "normal": 4, "strong": 8}[self.strength]

    @property
    def history(self) -> int:
        """How many frames the past counts for, at most, against the one that is new."""
        return {"off": 0, "normal": 100, "strong": 400}[self.strength]
