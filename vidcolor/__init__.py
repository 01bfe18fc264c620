"""vidcolor turns black-and-white films into colored ones.

    from vidcolor import Colorizer, colorize_film

    colorizer = Colorizer.load("lite")
    colorize_film("film.mp4", "film.color.mp4", colorizer)

Coloring:

- `Colorizer`: a model on a device; `Colorizer.load("video")` finds or downloads it.
- `colorize_film`: a film, file to file, with sound, subtitles and timestamps; can be resumed.
- `colorize_image`: a still, file to file.
- `colorize_array`: pictures as numpy arrays.
- `colorize_frames`: a film's frames as numpy arrays, from any decoder.

Settings, each a frozen dataclass: `RenderSettings` (of a `Colorizer`) and `FilmSettings` (of
`colorize_film`), which holds `EncodeSettings`, `SmoothSettings` and `PieceSettings`.

`colorize_film` returns a `Report`. A `Colorizer` runs a `Generator`, which `load_generator` reads
from a file. All errors are children of `VidcolorError` with a message of one line: `MediaError`,
`WeightsError`, `DeviceError`, `RecipeError`.

The package logs to the logger "vidcolor" and prints nothing. torch is imported when one of these
names is first used. On a CPU, set the environment variable OMP_WAIT_POLICY=PASSIVE before torch is
imported: OpenMP threads that wait actively slow the ffmpeg processes beside them down.
"""

import importlib
import logging
from typing import TYPE_CHECKING

# A program that wants the log adds a handler; without one, nothing is printed.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vidcolor.arrays import colorize_array, colorize_frames
    from vidcolor.chroma.temporal.settings import SmoothSettings
    from vidcolor.errors import DeviceError, MediaError, RecipeError, VidcolorError, WeightsError
    from vidcolor.film import Report, colorize_film
    from vidcolor.inference.colorizer import Colorizer
    from vidcolor.inference.settings import RenderSettings
    from vidcolor.media.containers import EncodeSettings
    from vidcolor.models.network import Generator
    from vidcolor.resume.store import PieceSettings
    from vidcolor.settings import FilmSettings
    from vidcolor.still import colorize_image
    from vidcolor.weights.checkpoint import load_generator

__all__ = [
    "Colorizer",
    "DeviceError",
    "EncodeSettings",
    "FilmSettings",
    "Generator",
    "MediaError",
    "PieceSettings",
    "RecipeError",
    "RenderSettings",
    "Report",
    "SmoothSettings",
    "VidcolorError",
    "WeightsError",
    "__version__",
    "colorize_array",
    "colorize_film",
    "colorize_frames",
    "colorize_image",
    "load_generator",
]

_MODULES = {
    "Colorizer": "inference.colorizer",
    "DeviceError": "errors",
    "EncodeSettings": "media.containers",
    "FilmSettings": "settings",
    "Generator": "models.network",
    "MediaError": "errors",
    "PieceSettings": "resume.store",
    "RecipeError": "errors",
    "RenderSettings": "inference.settings",
    "Report": "film",
    "SmoothSettings": "chroma.temporal.settings",
    "VidcolorError": "errors",
    "WeightsError": "errors",
    "colorize_array": "arrays",
    "colorize_film": "film",
    "colorize_frames": "arrays",
    "colorize_image": "still",
    "load_generator": "weights.checkpoint",
}
"""Where each public name is defined."""


def __getattr__(name: str) -> object:
    """Import on first use: torch takes a second, which `vidcolor --help` need not wait for."""
    if name not in _MODULES:
        raise AttributeError(f"module 'vidcolor' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vidcolor.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
