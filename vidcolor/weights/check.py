"""Is a file what its name says? A cheap look at its size and first bytes, or its whole hash."""

import hashlib
import re
from pathlib import Path

from vidcolor.weights.catalog import Model

_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|!--|html|head|\?xml)", re.IGNORECASE)


def is_html(head: bytes) -> bool:
    """Whether a file that begins with `head` is a web page, as expired links answer with."""
    return _HTML.match(head) is not None


def damage(path: Path, model: Model) -> str | None:
    """What is visibly wrong with the model's file at `path`, as "is ..." or "has ..."; else None.

    Reads only the size and the first bytes: flipped bits are found by `sha256`.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if is_html(head):
        return "is a web page (HTML) saved under a model's name"
    if size == 0:
        return "is empty"
    if model.size is None or size == model.size:
        return None
    if size < model.size:
        return f"is cut off: it has {size:,} of {model.size:,} bytes"
    return f"is another file: it has {size:,} bytes, {model.name} has {model.size:,}"


def sha256(path: Path) -> str:
    """The file's SHA-256 in lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
