"""The log of a run, for bug reports."""

import logging
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vidcolor import __version__
from vidcolor.batch import Job
from vidcolor.errors import VidcolorError
from vidcolor.media.binary import choose_ffmpeg

PACKAGES = ("torch", "numpy", "av", "ffmpeg-python", "imageio-ffmpeg", "opencv-python-headless")

log = logging.getLogger(__name__)


def write_log(path: Path, jobs: Sequence[Job], options: dict) -> None:
    """Append versions and settings to `path`, and from now on everything that the package logs.

    That includes ffmpeg's command lines and messages, and errors with their traceback.
    Raises VidcolorError where `path` cannot be written, or is one of the films.
    """
    films = {place.resolve() for job in jobs for place in (job.source, job.target)}
    if path.resolve() in films:
        raise VidcolorError(f"{path} is a source or a result; give another name to --log")
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise VidcolorError(
            f"cannot write the log {path} ({error.strerror}); give another --log"
        ) from error
    line = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
    handler.setFormatter(logging.Formatter(line))
    logger = logging.getLogger("vidcolor")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)

    ffmpeg = choose_ffmpeg()
    log.info("vidcolor %s, Python %s, %s", __version__, sys.version, platform.platform())
    log.info("ffmpeg %s: %s", ffmpeg.taken, ffmpeg.reason)
    log.info("%s", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    log.info("command: %s", shlex.join(sys.argv))
    log.info("settings: %s", options)
    for job in jobs:
        log.info("%s: %s -> %s", job.kind, job.source, job.target)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
