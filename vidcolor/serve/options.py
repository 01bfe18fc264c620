"""Options of a job: the command line's, less those that name files or concern the whole server."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidcolor.choices import FILMS_ONLY, film_settings, no_effect, render_settings
from vidcolor.errors import VidcolorError
from vidcolor.media.containers import MUXERS, default_suffix
from vidcolor.serve.service import OptionReader, Service
from vidcolor.weights.catalog import MODELS
from vidcolor.weights.places import locate

OFFERED = (
    *("model", "render_factor", "start", "end", "compare", "saturation", "hue", "codec", "crf"),
    *("preset", "pix_fmt", "smooth", "edges", "deinterlace", "precision", "piece_seconds"),
)

ENCODING = ("format", "codec", "crf", "preset", "pix_fmt", "compare")
"""What may not fit a source; that is found out by looking at it once more."""

STILL_FORMATS = ("jpg", "png", "tif", "webp")
FORMAT_HELP = "Kind of file to make.  [default: the source's own; mkv where that cannot be written]"

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
"""What names of encoders, presets and pixel formats look like."""


def read_options(
    reader: OptionReader, given: Mapping[str, Any], kind: str, service: Service
) -> dict[str, Any]:
    """All options of a job, checked by the command line's own code.

    given: as the client wrote them, without `format`. kind: "film" or "still".
    Raises VidcolorError in the command line's words.
    """
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in OFFERED:
            known = ", ".join((*OFFERED, "format"))
            raise VidcolorError(f"there is no option {name[:40]!r}; there are {known}")
    check_model(str(given.get("model", service.settings.model)), service)
    for name in ("codec", "preset", "pix_fmt"):
        if name in given and not _PLAIN.fullmatch(str(given[name])):
            raise VidcolorError(f"{reader.flag(name)} takes a name of ffmpeg's, such as libx264")
    options = reader.read(given)
    options["model"] = str(given.get("model", service.settings.model))
    render_settings(options)
    film_settings(options)
    if kind == "still":
        idle = [reader.flag(name) for name in given if name in FILMS_ONLY and given[name]]
        if idle:
            raise VidcolorError(no_effect(idle))
    return options


def check_model(name: str, service: Service) -> None:
    """Raises VidcolorError for a model that is not on this machine; nothing is downloaded."""
    here = models_here(service)
    if name in here:
        return
    if name in MODELS:
        raise VidcolorError(
            f"the model {name} is not on this server; there, run `vidcolor weights pull {name}`"
        )
    raise VidcolorError(f"there is no model called {name[:40]!r}; there are {', '.join(here)}")


def models_here(service: Service) -> list[str]:
    """The models that can be used."""
    folder = service.settings.weights_dir
    return [name for name, model in MODELS.items() if locate(model, folder)]


def result_suffix(format: Any, kind: str, source: Path) -> str:
    """Of the result. Raises VidcolorError for a format that is not made."""
    if format is None:
        return source.suffix if kind == "still" else default_suffix(source)
    known = STILL_FORMATS if kind == "still" else [suffix[1:] for suffix in MUXERS]
    if format not in known:
        raise VidcolorError(
            f'cannot write a {kind} as "{str(format)[:20]}"; choose one of {", ".join(known)}'
        )
    return f".{format}"


def described(reader: OptionReader) -> list[dict[str, Any]]:
    """All options with their help, for a page that offers them."""
    choices = list(dict.fromkeys([*(suffix[1:] for suffix in MUXERS), *STILL_FORMATS]))
    own = [
        {**option, "films_only": option["name"] in FILMS_ONLY}
        for option in reader.described()
        if option["name"] in OFFERED
    ]
    last = {
        "name": "format",
        "flag": "--output",
        "help": FORMAT_HELP,
        "type": "choice",
        "choices": choices,
        "minimum": None,
        "maximum": None,
        "default": None,
        "films_only": False,
    }
    return [*own, last]
