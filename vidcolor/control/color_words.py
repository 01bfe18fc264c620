"""Colors as people write them: #rrggbb or a name."""

import math
import re

from vidcolor.chroma.matrices import RED_AND_BLUE
from vidcolor.errors import VidcolorError

COLORS = {
    **{"red": "#a04040", "orange": "#b07040", "yellow": "#b0a040", "green": "#608040"},
    **{"teal": "#408080", "cyan": "#50a0a0", "blue": "#4060a0", "purple": "#704090"},
    **{"magenta": "#a04090", "pink": "#c08090", "brown": "#705030", "beige": "#b0a080"},
    **{"black": "#202020", "gray": "#808080", "white": "#e0e0e0"},
}
"""Shades that cloth, paint and plants have, not those of a screen."""

NEUTRAL = 0.01
"""Chroma below which a color has no hue."""


def rgb_of(word: str) -> tuple[int, int, int]:
    """(red, green, blue), 0 to 255. Raises VidcolorError for a color that is none."""
    code = COLORS.get(word.strip().lower(), word.strip())
    if not re.fullmatch("#[0-9a-fA-F]{6}", code):
        raise VidcolorError(f"{word!r} is no color; write #rrggbb, or one of {', '.join(COLORS)}")
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def chroma_of(word: str) -> tuple[float, float]:
    """BT.601 (Cb, Cr) in [-0.5, 0.5]. Raises VidcolorError for a color that is none."""
    red, green, blue = (value / 255 for value in rgb_of(word))
    of_red, of_blue = RED_AND_BLUE["bt601"]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    return (blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red)


def has_hue(word: str) -> bool:
    """Whether it is not black, white or gray."""
    return math.hypot(*chroma_of(word)) >= NEUTRAL
