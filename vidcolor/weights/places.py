"""Where model files are looked for, and where downloads go."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from vidcolor.errors import WeightsError
from vidcolor.weights.catalog import Model
from vidcolor.weights.check import damage

PACKAGE = Path(__file__).parents[1]


def find(model: Model, weights_dir: Path | None = None) -> Path | None:
    """The model's file if it is on this machine, checked as `damage` does; else None.

    Raises WeightsError if the file found is damaged: another one is not silently taken instead.
    """
    path = locate(model, weights_dir)
    if path is not None and (wrong := damage(path, model)):
        raise WeightsError(f"{path} {wrong}; {mend(model)}")
    return path


def locate(model: Model, weights_dir: Path | None = None) -> Path | None:
    """The first file with the model's name, complete or not; None if there is none."""
    paths = (folder / model.file for folder in folders(weights_dir))
    return next((path for path in paths if path.is_file()), None)


def mend(model: Model) -> str:
    """What to do about a damaged file of the model."""
    if model.mirrors:
        return f"delete it and run `vidcolor weights pull {model.name}`"
    return "it comes with vidcolor: install vidcolor again"


def folders(weights_dir: Path | None = None) -> list[Path]:
    """The folders to search, first one first; they need not exist."""
    return list(dict.fromkeys([*_chosen(weights_dir), carried_folder(), cache_folder()]))


def download_folder(weights_dir: Path | None = None) -> Path:
    """Where downloads go: the first folder to search that can be written, never the package's own.

    It need not exist yet. Raises WeightsError if none can be written.
    """
    candidates = [*_chosen(weights_dir), cache_folder()]
    for folder in candidates:
        if _writable(folder):
            return folder
    raise WeightsError(
        f"models cannot be saved in {' or '.join(map(str, candidates))}: no permission to write; "
        "name another folder with --weights-dir or $VIDCOLOR_WEIGHTS"
    )


def carried_folder() -> Path:
    """The data folder of this installation: in a wheel inside the package, in a clone beside it."""
    inside = PACKAGE / "_data" / "weights"
    return inside if inside.is_dir() else PACKAGE.parent / "weights"


def cache_folder() -> Path:
    """The user's own folder for downloads."""
    return user_cache_path("vidcolor") / "weights"


def _chosen(weights_dir: Path | None) -> list[Path]:
    """The folders that the user named, in the order in which they count."""
    variable = os.environ.get("VIDCOLOR_WEIGHTS")
    return [Path(folder).expanduser() for folder in (weights_dir, variable) if folder]


def _writable(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
