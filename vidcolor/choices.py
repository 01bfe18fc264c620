"""From the options of one call, given on a command line or over HTTP, to settings. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vidcolor.batch import Job
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.errors import VidcolorError
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.containers import EncodeSettings, complete, encoder_options, muxer
from vidcolor.media.probe import probe
from vidcolor.resume.store import PieceSettings
from vidcolor.settings import FilmSettings

FILMS_ONLY = (
    *("start", "end", "compare", "codec", "crf", "preset", "pix_fmt"),
    *("smooth", "deinterlace", "piece_seconds", "scenes", "keep"),
    *("references", "hints", "like"),
)
"""Options that do nothing for a still."""


def render_settings(options: Mapping[str, Any]) -> RenderSettings:
    """How the generator colors. Raises VidcolorError for a value out of range."""
    names = ("render_factor", "precision", "batch_size", "saturation", "hue")
    return RenderSettings(**{name: options[name] for name in names})


def still_settings(render: RenderSettings) -> RenderSettings:
    """Stills are few and looked at closely: left to itself, their precision is full."""
    return replace(render, precision="fp32") if render.precision == "auto" else render


def film_settings(options: Mapping[str, Any]) -> FilmSettings:
    """How a film is read, filtered and encoded. Raises VidcolorError for a value out of range."""
    check_times(options)
    encode = ("codec", "crf", "preset", "pix_fmt", "compare")
    others = ("edges", "start", "end", "deinterlace", "fresh")
    return FilmSettings(
        encode=EncodeSettings(**{name: options[name] for name in encode}),
        smooth=SmoothSettings(strength=options["smooth"]),
        pieces=PieceSettings(seconds=options["piece_seconds"]),
        keep=options.get("keep", False),
        **{name: options[name] for name in others},
    )


def is_controlled(options: Mapping[str, Any]) -> bool:
    """Whether films are divided at shots, because something is said about some or pieces stay."""
    return any(options.get(name) for name in ("scenes", "keep", "references", "hints", "like"))


def check_times(options: Mapping[str, Any]) -> None:
    """Raises VidcolorError where nothing lies between start and end."""
    if options["end"] is not None and options["end"] <= (options["start"] or 0):
        raise VidcolorError("--end must be later than --start")


def check_encoding(job: Job, encode: EncodeSettings) -> None:
    """Raises MediaError for a source that is not a film, or settings that do not fit it."""
    if job.kind == "film":
        film = probe(job.source)
        muxer(job.target.suffix)
        encoder_options(film, complete(film, encode, job.target.suffix))


def no_effect(flags: Sequence[str]) -> str:
    """How options for films are refused where there are stills alone."""
    have, them = ("has", "it") if len(flags) == 1 else ("have", "them")
    return (
        f"{' and '.join(flags)} {have} no effect on stills, and there is no film; leave {them} out"
    )
