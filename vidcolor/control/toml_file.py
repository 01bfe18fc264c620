"""Files in TOML that people write, or that somebody sends them."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidcolor.errors import VidcolorError

LARGEST = 2**53
"""Of the integers; Python neither shows one of thousands of digits nor makes a float of it."""


def load_toml(path: Path) -> dict[str, Any]:
    """The content of a file.

    Raises VidcolorError, in one line, where it cannot be read, is no TOML, or holds an integer
    beyond LARGEST.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise VidcolorError(f"{path} cannot be read ({error.strerror}); check its name") from error
    except ValueError as error:
        raise VidcolorError(f"{path} is no TOML ({error}); correct that line") from error
    except RecursionError as error:
        raise VidcolorError(f"{path} has lists or tables too deep in each other") from error
    if any(isinstance(value, int) and abs(value) > LARGEST for value in _values(content)):
        raise VidcolorError(f"{path} has a number larger than {LARGEST}; correct it")
    return content


def _values(content: Any) -> Iterator[Any]:
    """Everything in it that holds nothing else."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            yield value
