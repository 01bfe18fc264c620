"""A run's files: written whole or not at all, and errors that name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from vidcolor.errors import TrainingError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a TrainingError that names `path`."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"cannot write {error.filename or path} ({error.strerror or error}); what was saved "
            "before is whole: make room and continue with --resume, or choose another --out"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write a file that takes the place of `path` if all goes well."""
    partial = path.with_suffix(".tmp")
    with writing(path):
        try:
            yield partial
            partial.replace(path)
        except (RuntimeError, SafetensorError) as error:  # torch and safetensors on a full disk
            partial.unlink(missing_ok=True)
            cause = error.__context__
            raise cause if isinstance(cause, OSError) else OSError("the disk is full") from error
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file of a run leads to into a TrainingError that names it."""
    try:
        yield
    except Exception as error:  # torch raises nearly anything for a damaged file
        reason = str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__
        raise TrainingError(
            f"{path} is damaged ({reason}); delete it, and --resume makes it again"
        ) from error
