"""Which ffmpeg to run."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vidcolor.errors import MediaError

OLDEST = (5, 1)
"""The first ffmpeg with `-fps_mode`, without which timestamps cannot be kept."""

NEEDED_FILTERS = (
    *("bwdif", "crop", "extractplanes", "fillborders", "format", "hstack", "limiter"),
    *("mergeplanes", "metadata", "pad", "scale", "scdet", "setparams", "setpts", "setsar"),
    *("settb", "split", "trim", "vstack"),
)
"""Every filter that a film may need."""

WANTED_ENCODERS = ("libx264", "libx265", "libvpx-vp9")
"""What films are encoded with where `--codec` is not given."""

REMEDY = (
    "install ffmpeg 5.1 or newer, run `pip install imageio-ffmpeg`, "
    "or set VIDCOLOR_FFMPEG to an ffmpeg binary"
)

_ENCODER = re.compile(r"^ [VAS][\w.]{5} (\S+)", re.MULTILINE)
_FILTER = re.compile(r"^ [\w.]{2,3} (\S+) +\S+->", re.MULTILINE)


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg that runs, is new enough and has the filters that films need."""

    path: Path
    version: tuple[int, int]
    """Major and minor."""
    origin: str
    """"VIDCOLOR_FFMPEG", "PATH" or "imageio-ffmpeg"."""
    encoders: frozenset[str]
    """ffmpeg's names of those it was built with, whether or not they run on this machine."""

    def __str__(self) -> str:
        return f"{_dotted(self.version)}, {self.path} ({self.origin})"


@dataclass(frozen=True)
class Choice:
    """The ffmpeg that is run, and why."""

    taken: Ffmpeg
    reason: str
    """As in "the newest at hand"."""
    others: tuple[Ffmpeg, ...] = ()
    """Those that would have done as well."""
    unfit: tuple[str, ...] = ()
    """Those that would not have done, and why."""

    def with_encoder(self, name: str) -> Ffmpeg | None:
        """One of the others that has this encoder, if the one that is taken lacks it."""
        if name in self.taken.encoders:
            return None
        return next((other for other in self.others if name in other.encoders), None)


def find_ffmpeg() -> Ffmpeg:
    """The ffmpeg that every process of this package runs; see `choose_ffmpeg`."""
    return choose_ffmpeg().taken


def choose_ffmpeg() -> Choice:
    """The better ffmpeg of those at hand, which are looked at once in a process.

    $VIDCOLOR_FFMPEG is binding. Otherwise it is the one on the PATH or the one in the
    imageio-ffmpeg wheel: the one with more of WANTED_ENCODERS; if they are equal, the newer one;
    if that is equal too, the one on the PATH. None that is older than 5.1 or lacks one of
    NEEDED_FILTERS is taken. Raises MediaError when no ffmpeg will do.
    """
    return _choose(os.environ.get("VIDCOLOR_FFMPEG"), os.environ.get("PATH"))


@lru_cache
def _choose(chosen: str | None, search_path: str | None) -> Choice:
    if chosen:
        return Choice(_chosen(chosen), "set by VIDCOLOR_FFMPEG")
    places = {"PATH": shutil.which("ffmpeg", path=search_path), "imageio-ffmpeg": _packaged()}
    looks = _look({origin: path for origin, path in places.items() if path})
    if not looks:
        raise MediaError(f"no ffmpeg found; {REMEDY}")
    unfit = tuple(look for look in looks if isinstance(look, str))
    fit = [look for look in looks if isinstance(look, Ffmpeg)]
    if not fit:
        raise MediaError(f"no suitable ffmpeg: {'; '.join(unfit)}; {REMEDY}")
    best, *others = sorted(fit, key=_merit, reverse=True)  # of equals, the first stays first
    return Choice(best, _reason(best, others), tuple(others), unfit)


def _merit(ffmpeg: Ffmpeg) -> tuple[int, tuple[int, int]]:
    return len(ffmpeg.encoders.intersection(WANTED_ENCODERS)), ffmpeg.version


def _reason(best: Ffmpeg, others: list[Ffmpeg]) -> str:
    if not others:
        return "the only suitable one"
    (encoders, version), other = _merit(best), _merit(others[0])
    if encoders > other[0]:
        more = [name for name in WANTED_ENCODERS if name in best.encoders - others[0].encoders]
        return f"it has {', '.join(more)}"
    return "the newest" if version > other[1] else "as new as the other"


def _chosen(name: str) -> Ffmpeg:
    path = shutil.which(name)
    if path is None:
        raise MediaError(f"VIDCOLOR_FFMPEG is {name}, which does not run as ffmpeg; {REMEDY}")
    (look,) = _look({"VIDCOLOR_FFMPEG": path})
    if isinstance(look, str):
        raise MediaError(f"VIDCOLOR_FFMPEG is not suitable: {look}; {REMEDY}")
    return look


def _packaged() -> str | None:
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return None


def _look(places: dict[str, str]) -> list[Ffmpeg | str]:
    """What is at these paths, by origin; in words where it will not do."""
    with ThreadPoolExecutor(4) as threads:
        # All at once: an ffmpeg that is linked to many libraries needs 0.1 s for each answer.
        answers = [
            (
                origin,
                path,
                threads.submit(_ask, path, "filters"),
                threads.submit(_ask, path, "encoders"),
            )
            for origin, path in places.items()
        ]
    return [
        _judge(path, origin, filters.result(), encoders.result())
        for origin, path, filters, encoders in answers
    ]


def _judge(path: str, origin: str, filters: str, encoders: str) -> Ffmpeg | str:
    """filters, encoders: what ffmpeg prints when asked for them."""
    version = _version(filters)
    if version is None:
        return f"{path} does not run as ffmpeg"
    if version < OLDEST:
        return f"{path} is ffmpeg {_dotted(version)}, which is too old"
    if lacking := sorted(set(NEEDED_FILTERS).difference(_FILTER.findall(filters))):
        return f"{path} has no filter {', '.join(lacking)}"
    return Ffmpeg(Path(path), version, origin, frozenset(_ENCODER.findall(encoders)))


def _ask(path: str, what: str) -> str:
    """ffmpeg's list of its "filters" or "encoders" below its versions; "" if it does not run."""
    try:
        return subprocess.run(
            [path, f"-{what}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _version(said: str) -> tuple[int, int] | None:
    """Of the ffmpeg that printed this; None if that was something else."""
    if release := re.search(r"^ffmpeg version n?(\d+)\.(\d+)", said, re.MULTILINE):
        return int(release[1]), int(release[2])
    if not re.search("^ffmpeg version ", said, re.MULTILINE):
        return None
    # A build from git has no release number; libavutil 57.28 came with 5.1, 58 with 6.0, and so on.
    if library := re.search(r"^ *libavutil +(\d+)\. *(\d+)", said, re.MULTILINE):
        major, minor = int(library[1]), int(library[2])
        return (major - 52, 1) if (major, minor) >= (57, 28) else (major - 52, 0)
    return None


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))
