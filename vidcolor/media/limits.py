"""Limits on what ffmpeg may do with an untrusted file: read this one file, as a film.

Playlists, concat scripts, manifests, session descriptions, image sequences and devices name other
files or hosts, which ffmpeg would then open. None of them is a film, so none of them is read,
whatever a file is called.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer

FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "asf", "flv", "ogg", "mxf", "rm", "nut", "wtv"),
    *("dv", "gxf", "lxf", "nsv", "ivf", "gif", "apng", "yuv4mpegpipe"),
    *("mpegvideo", "m4v", "h261", "h263", "h264", "hevc", "vvc", "vc1", "av1", "obu"),
    *("dirac", "cavsvideo", "mjpeg"),
)
"""ffmpeg's names of the demuxers that a film is read with. They open nothing but their own file."""


@contextmanager
def open_film(path: Path, formats: Sequence[str] = FORMATS) -> Iterator[InputContainer]:
    """`path` opened with PyAV: the file itself, not its name, which may look like an address.

    Metadata that are not UTF-8, as in many old files, are read with replacement characters.
    Raises OSError or what PyAV raises where it is no film.
    """
    options = {"protocol_whitelist": "none", "format_whitelist": ",".join(formats)}
    with (
        path.open("rb") as file,
        av.open(file, "r", options=options, metadata_errors="replace") as container,
    ):
        yield container


def input_options(container: str) -> dict[str, str]:
    """Options for ffmpeg's input: this one file, as the container that was found in it."""
    # ffmpeg 5.1 would show a GIF's frames of 1/100 s for 1/10 s each.
    delays = {"min_delay": "1"} if container == "gif" else {}
    return {"f": container, "format_whitelist": container, "protocol_whitelist": "file", **delays}
