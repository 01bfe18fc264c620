"""The user comment of EXIF data."""

from PIL import Image

EXIF_DIRECTORIES = (0x8769, 0x8825)
"""Tags whose value is a directory of further tags: EXIF proper, and GPS."""

USER_COMMENT = 0x9286
"""A tag of EXIF proper: eight bytes that name the encoding, then the text."""

_ASCII = b"ASCII\0\0\0"
_UNICODE = b"UNICODE\0"


def with_comment(exif: bytes, comment: str) -> bytes:
    """`exif`, as Pillow encodes it, with `comment` after the user comment that it has."""
    tags = Image.Exif()
    tags.load(exif)
    directory = tags.get_ifd(EXIF_DIRECTORIES[0])
    unicode = "utf-16-le" if tags.endian == "<" else "utf-16-be"
    old = _text(directory.get(USER_COMMENT, b""), unicode)
    if comment in old:
        return exif
    text = f"{old}\n{comment}" if old else comment
    encoded = _ASCII + text.encode() if text.isascii() else _UNICODE + text.encode(unicode)
    directory[USER_COMMENT] = encoded
    return tags.tobytes()


def _text(value: object, unicode: str) -> str:
    if isinstance(value, str):
        return value.strip("\0 ")
    if not isinstance(value, bytes):
        return ""
    encoding = unicode if value.startswith(_UNICODE) else "utf-8"
    return value[8:].decode(encoding, errors="replace").strip("\0 ")
