"""From the name of a model to a colorizer, with a progress bar if it must be fetched."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.inference.settings import RenderSettings

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Colorizer


def load_colorizer(
    name: str, settings: RenderSettings, device: str, weights_dir: Path | None
) -> "Colorizer":
    """Find or fetch the model, load it, put it on the device.

    Raises WeightsError and DeviceError.
    """
    from dataclasses import replace

    from vidcolor.cli.weights import download_progress
    from vidcolor.inference.colorizer import Colorizer
    from vidcolor.weights.catalog import MODELS
    from vidcolor.weights.checkpoint import load_generator
    from vidcolor.weights.resolve import resolve

    with download_progress(name) as on_progress:
        path = resolve(name, weights_dir, on_progress=on_progress)
    if settings.render_factor is None and name in MODELS:
        settings = replace(settings, render_factor=MODELS[name].render_factor)
    return Colorizer(load_generator(path), settings, device=device)
