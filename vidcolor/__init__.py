"""vidcolor turns black-and-white films into colored ones."""

import importlib
import logging
import os
from typing import TYPE_CHECKING

# Threads that spin beside ffmpeg's are up to 15 times slower; torch reads this once, on import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Who wants to read our log adds a handler; nobody else is bothered.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__version__ = "0.1.0"
__all__ = ["Colorizer", "RenderSettings", "__version__", "colorize_film", "colorize_image"]

if TYPE_CHECKING:
    from vidcolor.film import colorize_film
    from vidcolor.inference.colorizer import Colorizer
    from vidcolor.inference.settings import RenderSettings
    from vidcolor.still import colorize_image

_HOMES = {
    "Colorizer": "vidcolor.inference.colorizer",
    "RenderSettings": "vidcolor.inference.settings",
    "colorize_film": "vidcolor.film",
    "colorize_image": "vidcolor.still",
}


def __getattr__(name: str) -> object:
    """Import on first use: torch takes a second, which `vidcolor --help` need not wait for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vidcolor' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
