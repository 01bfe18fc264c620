"""Published networks whose file names carry the beginning of their SHA-256, as PyTorch's do."""

from collections.abc import Sequence
from pathlib import Path

from vidcolor.errors import WeightsError
from vidcolor.weights.check import sha256
from vidcolor.weights.fetch import fetch_url

PYTORCH = "https://download.pytorch.org/models/"


def network_file(url: str, folders: Sequence[Path], download_folder: Path) -> Path:
    """The file of that address from the first folder that has it, or downloaded.

    Its name is like `name-0123abcd.pth`, and its SHA-256 begins with these digits, new or old.
    Raises WeightsError, in one line that says what to do, if it is damaged or cannot be had.
    """
    name = url.rpartition("/")[2]
    digits = name.rpartition(".")[0].rpartition("-")[2]
    for folder in folders:
        path = folder / name
        if path.is_file():
            if not sha256(path).startswith(digits):
                raise WeightsError(f"{path} is damaged; delete it, and it is downloaded again")
            return path
    try:
        fetch_url(url, download_folder / name, digits)
    except WeightsError as error:
        raise WeightsError(f"{error}; put {url} into {download_folder}") from error
    return download_folder / name
