"""From the name of a model to a colorizer, with a progress bar if it must be downloaded."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.inference.settings import RenderSettings

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Colorizer


def fetch_model(name: str, weights_dir: Path | None) -> None:
    """Download the model if it is not on this machine. Raises WeightsError."""
    from vidcolor.cli.weights import download_progress
    from vidcolor.weights.resolve import resolve

    with download_progress(name) as on_progress:
        resolve(name, weights_dir, on_progress=on_progress)


def load_colorizer(
    name: str,
    settings: RenderSettings,
    device: str,
    weights_dir: Path | None,
    on_note: Callable[[str], object] | None = None,
) -> "Colorizer":
    """Find or download the model, load it and move it to the device.

    on_note: called with one line when the precision has to be changed.
    Raises WeightsError and DeviceError.
    """
    from vidcolor.cli.weights import download_progress
    from vidcolor.inference.colorizer import Colorizer

    notes = {"on_note": on_note} if on_note else {}
    with download_progress(name) as on_progress:
        return Colorizer.load(
            name,
            settings,
            device=device,
            weights_dir=weights_dir,
            on_progress=on_progress,
            **notes,
        )
