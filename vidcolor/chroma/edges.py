"""The ways in which small chroma is enlarged to the picture's size. Imports no torch."""

from vidcolor.errors import VidcolorError

EDGES = ("guided", "bilinear")
"""guided: along the edges of luma (`chroma.upsample`). bilinear: interpolated, as in DeOldify."""


def check_edges(edges: str) -> None:
    """Raises VidcolorError unless it is one of EDGES."""
    if edges not in EDGES:
        raise VidcolorError(f"unknown edges {edges!r}; use one of {', '.join(EDGES)}")
