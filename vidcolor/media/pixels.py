"""Pixel formats, as far as luma and chroma planes are concerned."""

from dataclasses import dataclass
from functools import lru_cache

import av

_SUBSAMPLING = {
    (1, 1): "420",
    (1, 0): "422",
    (0, 0): "444",
    (2, 0): "411",
    (2, 2): "410",
    (0, 1): "440",
}


@dataclass(frozen=True)
class PixelFormat:
    """What a picture is made of."""

    depth: int
    """Bits of one luma sample, at least 8."""
    subsampling: tuple[int, int] | None
    """log2 of the luma samples per chroma sample, across and down; None without chroma."""
    rgb: bool
    """RGB, XYZ or a palette: luma has to be computed."""
    alpha: bool

    @property
    def gray(self) -> bool:
        return self.subsampling is None and not self.rgb

    @property
    def planar(self) -> str:
        """ffmpeg's name for the same samples in separate planes; RGB becomes 4:2:0."""
        if self.rgb:
            return planar_name((1, 1), min(self.depth, 16))
        return planar_name(self.subsampling, self.depth)


@lru_cache
def pixel_format(name: str) -> PixelFormat:
    """Read ffmpeg's pixel format `name`. Raises ValueError for an unknown one."""
    layout = av.VideoFormat(name, 16, 16)
    depth = max(8, max(component.bits for component in layout.components))
    rgb = layout.is_rgb or name == "pal8" or name.startswith(("xyz", "bayer"))
    alpha = any(component.is_alpha for component in layout.components)
    if rgb or len(layout.components) < 3:  # gray, perhaps with alpha
        return PixelFormat(depth, None, rgb, alpha)
    across, down = 16 // layout.chroma_width(), 16 // layout.chroma_height()
    return PixelFormat(depth, (across.bit_length() - 1, down.bit_length() - 1), rgb, alpha)


def planar_name(subsampling: tuple[int, int] | None, depth: int) -> str:
    """For example (1, 1), 10 -> yuv420p10le; None, 8 -> gray."""
    suffix = "" if depth == 8 else f"{depth}le"
    if subsampling is None:
        return f"gray{suffix}"
    return f"yuv{_SUBSAMPLING[subsampling]}p{suffix}"
