"""One still, path to path."""

import os
from dataclasses import replace
from pathlib import Path

from vidcolor.arrays import colorize_array
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.mark import color_mark
from vidcolor.media.publish import refuse_source
from vidcolor.media.source_color import IN_COLOR, picture_color
from vidcolor.media.still.picture import read_picture, write_picture


def colorize_image(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    colorizer: Colorizer,
    *,
    edges: str = "guided",
) -> tuple[str, ...]:
    """Color a still and write it in the format of the target's suffix.

    source, target: JPEG, PNG, TIFF or WebP. edges: as for `colorize_array`.
    The picture is set upright; its depth, alpha, EXIF, color profile and resolution are kept as
    far as the format can hold them. A target that exists is replaced, once the new one is complete.
    Returns warnings, in one line each.
    Raises MediaError if the source cannot be read, the target not be written, or both are one.
    """
    source, target = Path(source), Path(target)
    refuse_source(source, target)
    picture = read_picture(source)
    colored = replace(
        picture,
        rgb=colorize_array(picture.rgb, colorizer, edges=edges),
        comment=color_mark(colorizer, edges),
    )
    write_picture(target, colored)
    return (IN_COLOR,) if picture_color(picture.rgb).kind == "color" else ()
