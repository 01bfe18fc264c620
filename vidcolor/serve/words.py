"""Text that comes from clients and files, and text that goes to them."""

import re
import unicodedata
from pathlib import Path
from urllib.parse import quote

from vidcolor.batch import FILMS, MARK, STILLS

LONGEST_NAME = 255
"""Characters of a user's name for a file that are kept."""


def shown(name: str) -> str:
    """A client's name for a file as it may be shown: one line, no controls, not too long."""
    clean = "".join(char if char.isprintable() else " " for char in name).strip()
    return clean[-LONGEST_NAME:] or "untitled"


def suffix_of(name: str) -> str:
    """The suffix by which films and stills are told apart; "" for one that says nothing."""
    suffix = Path(base(name)).suffix.lower()
    return suffix if suffix in FILMS | STILLS else ""


def base(name: str) -> str:
    """The last part of a name that may be a path of any system."""
    return re.split(r"[/\\]", name)[-1]


def result_name(name: str, suffix: str) -> str:
    """What the result of a source is called when it is downloaded."""
    last = base(name)
    own = Path(last).suffix
    stem = last.removesuffix(own) if own.lower() in (suffix.lower(), *STILLS) else last
    stem = re.sub(r'[\x00-\x1f\x7f<>:"|?*%;]', "_", stem).strip(". ") or "film"
    return f"{stem}{MARK}{suffix}"


def attachment(name: str) -> str:
    """A Content-Disposition that makes browsers save, with the name in both spellings."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'[^ -~]|["\\]', "_", plain) or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def without_paths(text: str, names: dict[Path, str], data: Path) -> str:
    """A message in the user's names, not in the server's paths; in one line."""
    for path, name in names.items():
        text = text.replace(str(path), name)
    text = text.replace(str(data), "DATA")
    return "".join(char if char.isprintable() else " " for char in text)


MEDIA_TYPES = {
    **{".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime"},
    **{".mkv": "video/x-matroska", ".webm": "video/webm", ".ogv": "video/ogg"},
    **{".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"},
    **{".tif": "image/tiff", ".tiff": "image/tiff", ".gif": "image/gif", ".avi": "video/x-msvideo"},
}


def media_type(suffix: str) -> str:
    """By the server's own suffix; never one that a browser would run."""
    return MEDIA_TYPES.get(suffix.lower(), "application/octet-stream")
