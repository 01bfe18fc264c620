"""Stills as arrays: read upright at full depth, written with the metadata of the source."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from vidcolor.errors import MediaError
from vidcolor.media.publish import published
from vidcolor.media.still.exif import EXIF_DIRECTORIES, with_comment
from vidcolor.media.still.formats import encode_png, encode_tiff

FORMATS: Mapping[str, str] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""What can be read and written, by suffix."""
KINDS = sorted(set(FORMATS.values()))

SAVE_OPTIONS: Mapping[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95},
}

ORIENTATION = 0x0112
TELLING_TAGS = frozenset(
    {269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, *range(40091, 40096), *EXIF_DIRECTORIES}
)
"""EXIF tags about the picture (title, camera, author, ...); the others are about the file."""

JPEG_EXIF_LIMIT = 65_500
"""Bytes; a JPEG segment holds no more."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A still in memory, upright."""

    rgb: NDArray
    """(H, W, 3), uint8 or uint16."""
    alpha: NDArray | None = None
    """(H, W), of the same type."""
    exif: bytes = b""
    """As Pillow encodes it; without orientation, as the picture is upright."""
    icc_profile: bytes | None = None
    """Of an RGB color space."""
    dpi: tuple[float, float] | None = None
    """Across, down."""
    comment: str | None = None
    """Added to the user comment of the EXIF data when the still is written."""


def read_picture(path: Path) -> Picture:
    """Read a JPEG, PNG, TIFF or WebP of 8 or 16 bits per sample, in any color mode.

    Raises MediaError if it is missing, broken, of another kind or suspiciously large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on files that it reads none the less
            with path.open("rb") as file, Image.open(file, formats=KINDS) as image:
                return _picture(path, image)
    except MediaError:
        raise
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist; check the name") from error
    except Image.DecompressionBombError as error:
        raise MediaError(
            f"{path} is too large to be safe ({error}); scale it down first"
        ) from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{path} is not a jpg, png, tif or webp image, or its beginning is damaged; "
            "open it in another program and save it again"
        ) from error
    except Exception as error:  # Pillow raises whatever the broken bytes lead to
        raise MediaError(
            f"cannot read {path} as a still ({error}); save it again as png, tif, jpg or webp"
        ) from error


def write_picture(path: Path, picture: Picture) -> None:
    """Write a still in the format of the suffix; 16 bits stay 16 bits in png and tif.

    The file appears under its name when it is complete. Raises MediaError if that cannot be done.
    """
    kind = format_of(path)
    pixels = picture.rgb
    if picture.alpha is not None:
        pixels = np.dstack([picture.rgb, picture.alpha])
    if kind == "JPEG" and picture.alpha is not None:
        if picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
            raise MediaError(f"{path.name} cannot hold transparency; choose png, tif or webp")
        pixels = picture.rgb
    try:
        encoded = _encode(pixels, picture, kind)
        with published(path) as unfinished:
            unfinished.write_bytes(encoded)
    except (OSError, ValueError) as error:
        raise MediaError(
            f"cannot write {path} ({error}); choose another place or format"
        ) from error


def format_of(path: Path) -> str:
    """Pillow's name of a suffix's format. Raises MediaError for one that is not written."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise MediaError(f"cannot write a still as {path.name}; use one of {known}") from None


def to_8_bits(pixels: NDArray) -> NDArray:
    """uint16 -> the nearest uint8; uint8 stays as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _picture(path: Path, image: ImageFile) -> Picture:
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise MediaError(f"{path} holds several pictures; save each of them as its own file first")
    deep = ";16" in repr(image.tile)  # the samples in the file, in Pillow's words: "RGB;16B"
    image.load()  # notices every break; OpenCV passes over some
    rgb, alpha = _deep_pixels(path) if deep else _pixels(image)

    exif = image.getexif()
    orientation = exif.get(ORIENTATION, 1)
    for tag in set(exif) - TELLING_TAGS:
        del exif[tag]
    profile = image.info.get("icc_profile")
    return Picture(
        rgb=_upright(rgb, orientation),
        alpha=None if alpha is None else _upright(alpha, orientation),
        exif=exif.tobytes() if len(exif) else b"",
        icc_profile=profile if profile and profile[16:20] == b"RGB " else None,
        dpi=_dpi(image, turned=orientation in (5, 6, 7, 8)),
    )


def _pixels(image: Image.Image) -> tuple[NDArray, NDArray | None]:
    """RGB and alpha of 8 bits, from any mode of 8 bits or fewer."""
    if image.mode[0] in "IF":
        raise ValueError("its samples have 32 bits")
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    return np.asarray(image.convert("RGB")), None


def _deep_pixels(path: Path) -> tuple[NDArray, NDArray | None]:
    """RGB and alpha of 16 bits, which Pillow would cut down to 8."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("OpenCV cannot decode its 16 bits")
    if pixels.ndim == 2:
        return np.dstack([pixels] * 3), None
    return pixels[..., 2::-1], pixels[..., 3] if pixels.shape[2] == 4 else None


def _upright(pixels: NDArray, orientation: int) -> NDArray:
    """Undo an EXIF orientation, 1 to 8; (H, W) or (H, W, 3)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _dpi(image: Image.Image, *, turned: bool) -> tuple[float, float] | None:
    across, down = (float(value) for value in image.info.get("dpi", (0, 0)))
    if not (1 <= across < 2**16 and 1 <= down < 2**16):
        return None
    return (down, across) if turned else (across, down)


def _encode(pixels: NDArray, picture: Picture, kind: str) -> bytes:
    metadata: dict[str, Any] = {}
    exif = picture.exif
    if picture.comment:
        exif = with_comment(exif, picture.comment)
    if kind == "JPEG" and len(exif) >= JPEG_EXIF_LIMIT:
        exif = with_comment(b"", picture.comment) if picture.comment else b""
    if exif:
        metadata["exif"] = exif
    if picture.icc_profile:
        metadata["icc_profile"] = picture.icc_profile
    if picture.dpi:
        metadata["dpi"] = picture.dpi
    if kind == "TIFF":
        return encode_tiff(pixels, **metadata)
    if kind == "PNG" and pixels.dtype == np.uint16:
        return encode_png(pixels, **metadata)
    encoded = BytesIO()
    Image.fromarray(to_8_bits(pixels)).save(encoded, kind, **SAVE_OPTIONS.get(kind, {}), **metadata)
    return encoded.getvalue()
