"""Coloring films with made-up chroma, and reading them back with PyAV."""

import re
import struct
import subprocess
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from conftest import X264, run_ffmpeg

from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.join import join
from vidcolor.media.probe import Film, probe
from vidcolor.media.read import read_luma
from vidcolor.media.source_color import IN_COLOR
from vidcolor.media.write import Piece, write_piece

FFV1 = EncodeSettings(codec="ffv1")
SMALL = (16, 12)
"""(width, height) of luma and chroma as far as these tests are concerned."""


RESULTS = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
"""Suffixes of results."""


MPEG4 = ("-c:v", "mpeg4", "-q:v", "2")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p")
SOURCES: dict[str, tuple[str, ...]] = {
    ".mp4": (*X264, "-bf", "2"),
    ".mkv": (*X264, "-bf", "2"),
    ".mov": (*X264, "-bf", "2"),
    ".avi": (*MPEG4, "-bf", "2"),
    ".webm": VP9,
    ".mpg": MPEG2,
    ".ts": MPEG2,
    ".gif": (),
    ".y4m": ("-pix_fmt", "yuv420p"),
}
"""How a film is encoded, by the suffix of a source."""


class Picture(NamedTuple):
    """One frame of a film as PyAV decodes it."""

    time: Fraction
    planes: list[np.ndarray]
    """Code values, one array for each plane."""


def pictures(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return [_picture(frame) for frame in container.decode(video)]


def _picture(frame: av.VideoFrame) -> Picture:
    depth = max(component.bits for component in frame.format.components)
    kind = np.dtype(np.uint8 if depth == 8 else np.uint16)
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), kind).reshape(plane.height, -1)
        samples = 3 if frame.format.name == "rgb24" else 1
        planes.append(rows[:, : samples * plane.width])
    assert frame.pts is not None and frame.time_base is not None
    return Picture(frame.pts * frame.time_base, planes)


def flat_chroma(number: int) -> np.ndarray:
    """(2, h, w) uint8: a color that tells which frame it belongs to."""
    blue, red = 60 + number % 100, 190 - number % 100
    return np.stack([np.full(SMALL[::-1], value, np.uint8) for value in (blue, red)])


def write_film(
    film: Film,
    folder: Path,
    settings: EncodeSettings = FFV1,
    *,
    pieces: int = 1,
    start: float | None = None,
    end: float | None = None,
) -> list[Piece]:
    """Give the frames of `film` flat colors, in so many pieces."""
    with read_luma(film, SMALL, start=start, end=end) as luma:
        stamps = [frame.pts for frame in luma]
    finished = []
    for number, part in enumerate(np.array_split(stamps, pieces)):
        first = stamps.index(part[0])
        seconds = float(part[0] * film.time_base) - (film.start or 0.0)
        path = folder / f"piece{number}"
        with write_piece(film, path, SMALL, settings, start=seconds) as writer:
            for offset, pts in enumerate(part):
                writer.write(int(pts), flat_chroma(first + offset))
        finished.append(writer.piece)
    return finished


def color_film(source: Path, target: Path, settings: EncodeSettings = FFV1, **how) -> list[str]:
    """From path to path; returns the warnings."""
    film = probe(source)
    written = write_film(film, target.parent, settings, **how)
    how.pop("pieces", None)
    return join(film, written, target, **how)


def other_warnings(warnings: Iterable[str]) -> tuple[str, ...]:
    """All but the one about color: most of our films are test patterns."""
    return tuple(warning for warning in warnings if warning != IN_COLOR)


class Look(NamedTuple):
    """How ffmpeg itself describes a film's picture."""

    size: str
    """Upright, as in "64x48"."""
    aspect: str
    """Of a sample."""
    depth: int
    full_range: bool
    tags: str
    """Matrix, primaries and transfer curve."""
    fields: frozenset[str]
    """"T" or "B" for frames whose top or bottom field comes first, "P" for those without fields."""
    light: frozenset[str]
    """Mastering display and content light level, in figures."""


def look(path: Path) -> Look:
    """Have ffmpeg decode and describe the film, turned upright if it says so."""
    command = [find_ffmpeg().path, "-nostdin", "-v", "info", "-i", path, "-map", "0:V:0"]
    command += ["-vf", "showinfo", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    frames = re.findall(r" n: *\d+ .*? fmt:(\S+) .*?sar:(\S+) s:(\S+) i:(.)", said)
    ranges, *tags = re.findall(
        r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)", said
    )[0]
    form, aspect, size, _ = frames[0]
    depth = re.search(r"p(\d\d)le$|gray(\d\d)le$", form)
    return Look(
        size=size,
        aspect=aspect,
        depth=int(depth[1] or depth[2]) if depth else 8,
        full_range=ranges == "pc",
        tags=" ".join(tags),
        fields=frozenset(frame[3] for frame in frames),
        light=frozenset(re.findall(r"(?i)side data - ((?:mastering|content).*?\d)\n", said)),
    )


def picture_subtitle(seconds: float) -> bytes:
    """A PGS stream (.sup) that shows a white square of 8x8 for a tenth of a second."""

    def segment(time: float, kind: int, content: bytes) -> bytes:
        return struct.pack(">2sIIBH", b"PG", round(time * 90000), 0, kind, len(content)) + content

    def composition(number: int, state: int, objects: bytes) -> bytes:
        return struct.pack(">HHBHBBBB", 64, 48, 0x10, number, state, 0, 0, len(objects) // 8) + (
            objects
        )

    window = struct.pack(">BBHHHH", 1, 0, 8, 8, 8, 8)
    palette = bytes([0, 0, 1, 235, 128, 128, 255])
    rows = (bytes([0, 0x88, 1, 0, 0])) * 8  # eight pixels of color 1, end of line
    bitmap = struct.pack(">HBB", 0, 0, 0xC0) + (len(rows) + 4).to_bytes(3, "big")
    bitmap += struct.pack(">HH", 8, 8) + rows
    gone = seconds + 0.1
    return b"".join(
        [
            segment(seconds, 0x16, composition(0, 0x80, struct.pack(">HBBHH", 0, 0, 0, 8, 8))),
            segment(seconds, 0x17, window),
            segment(seconds, 0x14, palette),
            segment(seconds, 0x15, bitmap),
            segment(seconds, 0x80, b""),
            segment(gone, 0x16, composition(1, 0, b"")),
            segment(gone, 0x17, window),
            segment(gone, 0x80, b""),
        ]
    )


def drawing(rate: str = "25", frames: int = 5) -> tuple[str, ...]:
    """ffmpeg's input for so many small frames in which something moves."""
    return ("-f", "lavfi", "-i", f"testsrc2=size=64x48:rate={rate},trim=end_frame={frames}")


def captioned(path: Path) -> Path:
    """An MPEG-2 film of 2 s that says HELLO in closed captions (CEA-608 in ATSC A/53 user data)."""
    bare = path.with_suffix(".m2v")
    picture = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=2", "-bf", "0"]
    run_ffmpeg(*picture, "-f", "mpeg2video", str(bare))
    roll_up, next_line, clear = (0x14, 0x25), (0x14, 0x2D), (0x14, 0x2C)
    words = [roll_up, next_line, *zip(b"HLO", b"EL ", strict=True), *[(0, 0)] * 20, clear]
    pairs = iter(words + [(0, 0)] * 50)
    first, *units = bare.read_bytes().split(b"\0\0\1")
    film = first
    wanted = False
    for unit in units:
        if unit[0] == 0xB5 and unit[1] >> 4 == 8:  # what a picture's user data follow
            wanted = True
        elif wanted and 1 <= unit[0] <= 0xAF:  # its first slice
            pair = bytes(byte | (byte.bit_count() % 2 == 0) << 7 for byte in next(pairs))
            film += b"\0\0\1\xb2GA94\3\x41\xff\xfc" + pair + b"\xff"
            wanted = False
        film += b"\0\0\1" + unit
    bare.write_bytes(film)
    run_ffmpeg(
        "-f", "mpegvideo", "-i", str(bare), "-c", "copy", "-bsf:v", "setts=N*3600", str(path)
    )
    return path
