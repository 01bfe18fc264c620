"""From what the user calls a model to its file."""

from contextlib import suppress
from pathlib import Path

from vidcolor.weights.catalog import MODELS, lookup
from vidcolor.weights.fetch import Progress, fetch, silent
from vidcolor.weights.places import download_folder, find


def resolve(
    name_or_path: str, weights_dir: Path | None = None, *, on_progress: Progress = silent
) -> Path:
    """The file of a model, which is downloaded if it is not on this machine, or of a path.

    on_progress: called with (bytes there, bytes of the file) while a model is downloaded.
    Raises WeightsError if there is no such model or file, or it is damaged, or cannot be fetched.
    """
    path = Path(name_or_path).expanduser()
    with suppress(OSError):  # a name that is too long for a file
        if name_or_path not in MODELS and path.is_file():
            return path
    model = lookup(name_or_path)
    at_hand = find(model, weights_dir)
    return at_hand or fetch(model, download_folder(weights_dir), on_progress=on_progress)
