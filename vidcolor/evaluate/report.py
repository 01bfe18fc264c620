"""A whole evaluation: clips and photos in, a row of figures for every way to color out."""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from vidcolor.errors import MediaError, WeightsError
from vidcolor.evaluate.encoder import Encoder
from vidcolor.evaluate.inception import Gaussian, Inception, Protocol, distance_between
from vidcolor.evaluate.pairs import together
from vidcolor.evaluate.perception import Perception
from vidcolor.evaluate.picture import Picture
from vidcolor.evaluate.score import Figures, Instant, Score, mean
from vidcolor.evaluate.warping import FLOW, SMALLEST, motion_between
from vidcolor.media.probe import probe
from vidcolor.media.still.picture import read_picture, to_8_bits
from vidcolor.metrics.consistency import LINES as CDC_LINES

GRAY = "gray input"
ORIGINAL = "original"


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """How to measure. Figures of different settings cannot be compared."""

    protocol: Protocol = "ntire"
    """Which of the Frechet inception distances."""
    lines: int = 480
    """Pictures that are higher are reduced to this height before anything is measured."""
    networks: bool = True
    """Measure what needs networks that are fetched: LPIPS and FID."""
    features: Path | None = None
    """File of an ImageNet encoder for one more Frechet distance; see `evaluate.encoder`."""

    def described(self) -> dict[str, object]:
        """For the report: everything needed to compare its figures with others."""
        features = self.features and self.features.name
        return (
            asdict(self)
            | {"features": features}
            | {"cdc_lines": min(CDC_LINES, self.lines), "flow": FLOW}
        )


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The metrics' networks, as far as they are available, and why others are not."""

    lpips: Callable[[NDArray, NDArray], float] | None = None
    features: Callable[[NDArray], NDArray] | None = None
    encoder: Callable[[NDArray], NDArray] | None = None
    """Features of the settings' encoder."""
    missing: tuple[str, ...] = ()

    @staticmethod
    def load(settings: EvaluateSettings, device: torch.device) -> "Networks":
        """What cannot be fetched is left out of the report, which says so.

        Raises WeightsError where the settings' encoder cannot be read.
        """
        encoder = Encoder(settings.features, device).features if settings.features else None
        if not settings.networks:
            return Networks(encoder=encoder)
        lpips, features, missing = None, None, []
        try:
            lpips = Perception(device).distance
        except WeightsError as error:
            missing.append(f"LPIPS is left out: {error}")
        try:
            features = Inception(settings.protocol, device).features
        except WeightsError as error:
            missing.append(f"FID is left out: {error}")
        return Networks(lpips=lpips, features=features, encoder=encoder, missing=tuple(missing))


Rows = dict[str, Figures]
"""Figures by the row's name: GRAY first, then the results, ORIGINAL last."""


@dataclass
class Evaluation:
    """Figures of one kind of material, films or stills, gathered piece by piece."""

    settings: EvaluateSettings = EvaluateSettings()
    networks: Networks = Networks()
    clips: dict[str, Rows] = field(default_factory=dict, init=False)
    """The figures of each film; photos are one piece of material together."""
    curves: dict[str, dict[str, list[Instant]]] = field(default_factory=dict, init=False)
    """By film and row, what a plot shows."""
    _photos: dict[str, Score] = field(default_factory=dict, init=False)
    _features: dict[str, Gaussian] = field(default_factory=dict, init=False)
    _encoded: dict[str, Gaussian] = field(default_factory=dict, init=False)

    def film(
        self,
        reference: Path,
        results: Mapping[str, Path],
        *,
        fps: Mapping[str, float] | None = None,
        limit: int | None = None,
        on_frame: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> None:
        """Measure results, by the names of their rows, of one film against its original.

        fps: frames per second at which each of them was made.
        limit: measure only so many frames, from the beginning.
        Raises MediaError where one cannot be read.
        """
        original = probe(reference)
        films = [original, *(probe(path) for path in results.values())]
        scores = self._scores(results)
        for name, rate in (fps or {}).items():
            scores[name].fps = rate
        total = min(filter(None, (limit, original.frame_count)), default=None)
        before = None
        with closing(together(films, self.settings.lines)) as pairs:
            for number, frames in enumerate(islice(pairs, limit), 1):
                real, *ours = (Picture(frame.rgb) for frame in frames)
                motion = None
                if before is not None and min(real.luma.shape) >= SMALLEST:
                    motion = motion_between(before.luma, real.luma)
                for name, picture in self._rows(results, ours, real).items():
                    self._add(scores[name], name, picture, real)
                    scores[name].follow(picture, frames[0].time, motion)
                before = real
                on_frame(number, total)
        self.clips[reference.name] = _figures(scores)
        self.curves[reference.name] = {
            name: score.curve for name, score in scores.items() if name != GRAY
        }

    def photo(self, original: NDArray, results: Mapping[str, NDArray]) -> None:
        """Measure one photo's results, (h, w, 3) uint8 as the original is."""
        if not self._photos:
            self._photos = self._scores(results)
        real = Picture(original)
        ours = [Picture(rgb) for rgb in results.values()]
        for name, picture in self._rows(results, ours, real).items():
            self._add(self._photos[name], name, picture, real)

    def still(self, reference: Path, results: Mapping[str, Path]) -> None:
        """As `photo`, by paths. Raises MediaError where one cannot be read."""
        original = to_8_bits(read_picture(reference).rgb)
        pictures = {n: to_8_bits(read_picture(path).rgb) for n, path in results.items()}
        for name, rgb in pictures.items():
            if rgb.shape != original.shape:
                raise MediaError(
                    f"{results[name]} differs in size from {reference}; "
                    "check that it is the same still"
                )
        self.photo(original, pictures)

    def rows(self) -> Rows:
        """The figures of all material: mean over films, FID over all frames of all of them."""
        if self._photos:
            rows = _figures(self._photos)
        else:
            names = next(iter(self.clips.values()), {})
            rows = {n: mean(clip[n] for clip in self.clips.values()) for n in names}
        for figure, gathered in (("fid", self._features), ("frechet", self._encoded)):
            for name, features in gathered.items():
                if name != ORIGINAL:
                    distance = distance_between(features, gathered[ORIGINAL])
                    rows[name] = replace(rows[name], **{figure: distance})
        return rows

    @property
    def frames(self) -> int:
        """How many photos were measured."""
        return next(iter(self._photos.values())).frames if self._photos else 0

    def _scores(self, results: Mapping[str, object]) -> dict[str, Score]:
        return {name: Score(self.networks.lpips) for name in (GRAY, *results, ORIGINAL)}

    def _rows(
        self, results: Mapping[str, object], ours: list[Picture], real: Picture
    ) -> dict[str, Picture]:
        return {GRAY: real.gray, **dict(zip(results, ours, strict=True)), ORIGINAL: real}

    def _add(self, score: Score, name: str, picture: Picture, real: Picture) -> None:
        score.add(picture, real)
        if self.networks.features:
            features = self._features.setdefault(name, Gaussian())
            features.add(self.networks.features(picture.rgb))
        if self.networks.encoder:
            encoded = self._encoded.setdefault(name, Gaussian())
            encoded.add(self.networks.encoder(picture.rgb))


def _figures(scores: Mapping[str, Score]) -> Rows:
    """The figures of each row, and how far they are from the original's."""
    rows = {name: score.figures() for name, score in scores.items()}
    original = rows[ORIGINAL]
    for name in rows.keys() - {ORIGINAL}:
        rows[name] = replace(
            rows[name],
            colorfulness_gap=_difference(rows[name].colorfulness, original.colorfulness),
            cdc_excess=_difference(rows[name].cdc, original.cdc),
        )
    return rows


def _difference(ours: float | None, real: float | None) -> float | None:
    return None if ours is None or real is None else ours - real


def document(films: Evaluation, photos: Evaluation) -> dict[str, Any]:
    """Everything that was measured, for JSON; infinite figures (a perfect PSNR) become null."""
    return {
        "settings": films.settings.described(),
        "left_out": list(films.networks.missing),
        "films": _plain(films.rows()),
        "clips": {name: _plain(rows) for name, rows in films.clips.items()},
        "photos": _plain(photos.rows()),
        "photo_count": photos.frames,
    }


def _plain(rows: Rows) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            figure: value if value is not None and math.isfinite(value) else None
            for figure, value in asdict(figures).items()
        }
        for name, figures in rows.items()
    }
