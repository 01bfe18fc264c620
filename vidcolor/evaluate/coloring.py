"""Color films and photos in several ways, in order to measure them."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from numpy.typing import NDArray

from vidcolor.arrays import colorize_array
from vidcolor.evaluate.pairs import photos_in
from vidcolor.evaluate.picture import Picture
from vidcolor.evaluate.report import Evaluation
from vidcolor.film import Report
from vidcolor.inference.colorizer import Colorizer
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.probe import probe

LOSSLESS = EncodeSettings(codec="ffv1")
"""So that the figures show the colors' errors and no encoder's. Results are Matroska."""

OnFrame = Callable[[int, int | None], None]


class Way(Protocol):
    """One way to color a film: `vidcolor.film.colorize_film` with its settings chosen, up to `end`
    seconds.
    """

    def __call__(
        self, source: Path, target: Path, *, end: float | None, on_frame: OnFrame
    ) -> Report: ...


def color_and_measure(
    evaluation: Evaluation,
    film: Path,
    ways: Mapping[str, Way],
    *,
    limit: int | None,
    on_frame: OnFrame,
) -> None:
    """Color a film by every way, which gives each a row, and measure what came out.

    limit: only so many frames. on_frame starts again at 0 for every way and for the measuring.
    Raises MediaError, DeviceError.
    """
    rate = probe(film).frame_rate
    end = float(limit / rate) if limit and rate else None
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        results, fps, frames = {}, {}, 0
        for number, (name, way) in enumerate(ways.items()):
            results[name] = Path(folder) / f"{number}.mkv"
            report = way(film, results[name], end=end, on_frame=on_frame)
            frames = report.frames
            fps[name] = frames / report.seconds
        evaluation.film(film, results, fps=fps, on_frame=lambda done, _: on_frame(done, frames))


def color_photos_and_measure(
    evaluation: Evaluation,
    photos: Path,
    name: str,
    colorizer: Colorizer,
    *,
    edges: str,
    limit: int | None,
    on_photo: Callable[[int], None],
) -> None:
    """Color photos from their luma, as a row called `name`, and measure what came out.

    photos: a folder or zip file. limit: only so many, evenly chosen. Raises MediaError.
    """
    for number, (_, original) in enumerate(photos_in(photos, limit), 1):
        evaluation.photo(original, {name: colored(original, colorizer, edges)})
        on_photo(number)


def colored(original: NDArray, colorizer: Colorizer, edges: str) -> NDArray:
    """(h, w, 3) uint8 RGB -> the same with colors that the generator guessed from its luma."""
    return colorize_array(Picture(original).gray.rgb, colorizer, edges=edges)
