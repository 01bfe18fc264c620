"""What a file is that is not read as a film, with the remedy, for an error message."""

from pathlib import Path

import av.error
from PIL import Image

from vidcolor.media.limits import open_film

SOUND_FORMATS = (
    *("aac", "ac3", "aiff", "amr", "ape", "au", "caf", "dts", "eac3", "flac", "mp3", "mpc", "mpc8"),
    *("tak", "truehd", "tta", "voc", "w64", "wav", "wv"),
)
"""ffmpeg's names of demuxers for sound alone. They open nothing but their own file."""


def not_a_film(path: Path) -> str:
    """Such as "has only sound, no picture; nothing to color"."""
    if _is_sound(path):
        return "has only sound, no picture; nothing to color"
    from vidcolor.media.still.picture import FORMATS  # with OpenCV, which nothing else here needs

    still = _still_format(path)
    if still in FORMATS.values():
        suffix = next(suffix for suffix, name in FORMATS.items() if name == still)
        return f"is a still image ({still}); give it a name that ends with {suffix}"
    if still:
        return f"is a still image ({still}); save it as png, tif, jpg or webp first"
    return "is a list of other files, or something else that is not a film; name the film itself"


def _is_sound(path: Path) -> bool:
    try:
        with open_film(path, SOUND_FORMATS):
            return True
    except (av.error.FFmpegError, OSError, ValueError):
        return False


def _still_format(path: Path) -> str | None:
    """Pillow's name of an image's format; None where it is no image."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            return image.format
    except Exception:  # Pillow raises whatever broken bytes lead to
        return None
