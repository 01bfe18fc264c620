"""What neither Pillow nor OpenCV can write: 16-bit PNG with metadata, TIFF with all of it."""

import itertools
import struct
import zlib
from io import BytesIO

import cv2
from numpy.typing import NDArray
from PIL import Image
from PIL import TiffImagePlugin as tiff

from vidcolor.media.still.exif import EXIF_DIRECTORIES

STRIP_ROWS = 64
"""Rows of a TIFF that are compressed together."""


def encode_png(
    pixels: NDArray,
    *,
    exif: bytes = b"",
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """(H, W, 3 or 4) uint16 RGB(A) -> a PNG file: OpenCV's, with our chunks after its header."""
    bgr = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    encoded = cv2.imencode(".png", bgr)[1].tobytes()
    chunks = b""
    if icc_profile:
        chunks += _chunk(b"iCCP", b"profile\0\0" + zlib.compress(icc_profile))
    if dpi:
        across, down = (round(value / 0.0254) for value in dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))  # per metre
    if exif:
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    header = 8 + 25  # the signature and IHDR, which must stay first
    return encoded[:header] + chunks + encoded[header:]


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def encode_tiff(
    pixels: NDArray,
    *,
    exif: bytes = b"",
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """(H, W, 3 or 4) uint8 or uint16 RGB(A) -> a TIFF file: Pillow's directory, our strips."""
    height, width, channels = pixels.shape
    strips = [
        zlib.compress(pixels[row : row + STRIP_ROWS].astype(f"<u{pixels.itemsize}").tobytes())
        for row in range(0, height, STRIP_ROWS)
    ]
    sizes = [len(strip) for strip in strips]
    offsets = [0, *itertools.accumulate(sizes[:-1])]

    tags = tiff.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    tags_of_picture = Image.Exif()
    tags_of_picture.load(exif)
    for tag, value in tags_of_picture.items():
        is_directory = tag in EXIF_DIRECTORIES
        tags[tag] = dict(tags_of_picture.get_ifd(tag)) if is_directory else value
    tags[tiff.IMAGEWIDTH] = width
    tags[tiff.IMAGELENGTH] = height
    tags[tiff.BITSPERSAMPLE] = (8 * pixels.itemsize,) * channels
    tags[tiff.COMPRESSION] = 8  # deflate
    tags[tiff.PHOTOMETRIC_INTERPRETATION] = 2  # RGB
    tags[tiff.SAMPLESPERPIXEL] = channels
    tags[tiff.ROWSPERSTRIP] = STRIP_ROWS
    tags[tiff.STRIPBYTECOUNTS] = tuple(sizes)
    tags[tiff.STRIPOFFSETS] = tuple(offsets)  # from the end of the directory, as `save` wants them
    if channels == 4:
        tags[tiff.EXTRASAMPLES] = 2  # alpha that is not multiplied into the colors
    if dpi:
        tags[tiff.X_RESOLUTION], tags[tiff.Y_RESOLUTION] = dpi
        tags[tiff.RESOLUTION_UNIT] = 2  # inch
    if icc_profile:
        tags.tagtype[tiff.ICCPROFILE] = 7  # plain bytes
        tags[tiff.ICCPROFILE] = icc_profile
    encoded = BytesIO()
    tags.save(encoded)
    return encoded.getvalue() + b"".join(strips)
