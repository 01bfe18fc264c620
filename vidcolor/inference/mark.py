"""The text by which a result says that its colors were made by a machine, and how."""

from vidcolor import __version__
from vidcolor.inference.colorizer import Colorizer


def color_mark(
    colorizer: Colorizer, edges: str, *, smooth: str | None = None, by_hand: bool = False
) -> str:
    """One line of ASCII for the comment of a film or a still.

    edges: how its chroma was enlarged. smooth: strength of the temporal filter; None for a still.
    by_hand: whether a person has changed colors or settings of some scenes.
    """
    settings = colorizer.settings
    parts = [
        f"vidcolor {__version__}",
        f"model {colorizer.model}",
        f"render factor {colorizer.render_factor}",
        f"saturation {settings.saturation:g}",
        f"hue {settings.hue:g}",
        f"edges {edges}",
    ]
    if smooth is not None:
        parts.append(f"smoothing {smooth}")
    if by_hand:
        parts.append("some scenes changed by hand")
    text = f"Colors made by a machine, not by the camera: {', '.join(parts)}"
    return text.encode("ascii", "backslashreplace").decode()
