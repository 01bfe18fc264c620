"""Stills that a person has colored: `ref_000123.png` says how frame 123 of a film looks."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.chroma.matrices import rgb_to_chroma, rgb_to_luma
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.media.still.picture import FORMATS, read_picture

NAME = re.compile(r"ref_(\d+)\.(\w+)", re.IGNORECASE)
FAINTEST = 0.012
"""Chroma that fewer than SHARE of the pixels of a gray still have."""
SHARE = 0.002


class Reference(NamedTuple):
    """A still and the frame that it shows."""

    frame: int
    """Number in the film, counting from 0."""
    path: Path


class ColorStill(NamedTuple):
    """What a still says."""

    luma: NDArray
    """(H, W) uint8."""
    chroma: NDArray
    """(2, H, W) float32 BT.601 chroma in [-0.5, 0.5]."""


def find_references(folder: Path) -> tuple[Reference, ...]:
    """The references in a folder, by frame. Other files are left alone.

    Raises VidcolorError, in one line, where there are none, or two for one frame.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.lower().startswith("ref_"))
    except OSError as error:
        raise VidcolorError(
            f"{folder} is no folder that can be read ({error.strerror}); --references takes the "
            "folder with the colored stills"
        ) from error
    found: dict[int, Path] = {}
    for path in paths:
        match = NAME.fullmatch(path.name)
        if match is None or f".{match[2].lower()}" not in FORMATS:
            raise VidcolorError(
                f"{path}: the name has no frame number or another suffix; name it such as "
                f"ref_000123.png ({', '.join(FORMATS)})"
            )
        frame = int(match[1])
        if frame in found:
            raise VidcolorError(
                f"{found[frame]} and {path} are both for frame {frame}; remove one of them"
            )
        found[frame] = path
    if not found:
        raise VidcolorError(
            f"{folder} has no references; write some there with `vidcolor stills`, color them and "
            "keep their names, such as ref_000123.png"
        )
    return tuple(Reference(frame, found[frame]) for frame in sorted(found))


def check_references(references: Iterable[Reference], frames: int) -> None:
    """Read each of them, for a film of so many frames. Raises VidcolorError in one line."""
    for reference in references:
        if reference.frame >= frames:
            raise VidcolorError(
                f"{reference.path} is for frame {reference.frame}, and the film's last frame is "
                f"{frames - 1}; correct the number, or give the film that it was made from"
            )
        read_color_still(reference.path)


def read_color_still(path: Path) -> ColorStill:
    """Raises MediaError where it cannot be read, has transparent pixels or no color."""
    picture = read_picture(path)
    if picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        raise MediaError(
            f"{path} has transparent pixels, which have no color; save it without transparency "
            "(flattened)"
        )
    scale = np.iinfo(picture.rgb.dtype).max
    rgb = torch.from_numpy(picture.rgb.astype(np.float32) / scale).movedim(2, 0)[None]
    chroma = rgb_to_chroma(rgb)[0].numpy()
    if (np.abs(chroma).max(0) > FAINTEST).mean() < SHARE:
        raise MediaError(f"{path} is gray and has no colors to carry; color it, or remove it")
    luma = (rgb_to_luma(rgb)[0, 0] * 255).round().byte().numpy()
    return ColorStill(luma, chroma)


def digest_of(path: Path) -> str:
    """Of the file's bytes. Raises MediaError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError as error:
        raise MediaError(f"cannot read {path} ({error.strerror}); check the name") from error
