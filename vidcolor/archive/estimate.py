"""What an archive will take: its films counted, a few of them looked at and colored for seconds."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vidcolor.archive.layout import SourceFilm, film_folder
from vidcolor.archive.worker import Worker
from vidcolor.errors import VidcolorError
from vidcolor.film import colorize_film
from vidcolor.media.probe import probe

log = logging.getLogger(__name__)

LOOKED_AT = 12
"""Films whose length is looked at."""

COLORED = 3
"""Of these, how many are colored for a few seconds."""

STRETCH = 6.0
"""Seconds of film that are colored of each."""

MOST_BYTES = 4 * 2**30
"""That are fetched, give or take a film."""

USUAL_RATE = 25.0
"""Frames per second where a film does not say."""


@dataclass(frozen=True)
class Sample:
    """A film that was looked at."""

    size: int
    """Bytes."""
    seconds: float
    """That it lasts."""
    rate: float
    """Frames per second of film."""
    colored: int
    """Frames that were colored."""
    took: float
    """Seconds that this took, the start of ffmpeg included."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is left to do, and what it takes."""

    films: int
    done: int
    bytes: int
    samples: int
    """Films that were looked at; 0 where none could be read, and nothing is known then."""
    hours_of_film: float
    frames: int
    frames_per_second: float
    """Of one worker that has its device for itself."""
    worker_hours: float
    """Of one such worker."""
    cost: float | None = None
    """At the given price for an hour of a worker's device."""


def choose(films: Sequence[SourceFilm]) -> list[SourceFilm]:
    """Films spread evenly over the sizes, as many as MOST_BYTES allow; at least one."""
    count = min(LOOKED_AT, len(films))
    places = {round((place + 0.5) * len(films) / count - 0.5) for place in range(count)}
    chosen, total = [], 0
    for film in sorted((films[place] for place in places), key=lambda film: film.size):
        total += film.size
        if chosen and total > MOST_BYTES:
            break
        chosen.append(film)
    return chosen


def measure(worker: Worker, films: Sequence[SourceFilm]) -> list[Sample]:
    """Look at these films; films that cannot be read are left out."""
    colored = {round(place * (len(films) - 1) / max(1, COLORED - 1)) for place in range(COLORED)}
    samples = []
    for number, film in enumerate(films):
        try:
            samples.append(_sample(worker, film, color=number in colored))
        except VidcolorError as error:
            log.warning("%s is left out of the estimate: %s", film.name, error)
    return samples


def _sample(worker: Worker, film: SourceFilm, *, color: bool) -> Sample:
    folder = film_folder(film, worker.settings)
    with (
        worker.scratch.source(worker.source, film, folder) as source,
        worker.scratch.work_folder() as work,
    ):
        found = probe(source)
        rate = float(found.frame_rate or USUAL_RATE)
        seconds = found.duration or (found.frame_count or 0) / rate
        if not color:
            return Sample(film.size, seconds, rate, 0, 0.0)
        settings = replace(worker.job.film, start=0.0, end=STRETCH)
        result = work / f"result{film.target[film.target.rindex('.') :]}"
        started = time.monotonic()
        report = colorize_film(source, result, worker.colorizer, settings)
        return Sample(film.size, seconds, rate, report.frames, time.monotonic() - started)


def estimate(
    films: Sequence[SourceFilm],
    done: int,
    samples: Iterable[Sample],
    price_per_hour: float | None = None,
) -> Estimate:
    """From the samples to all films, by bytes."""
    samples = list(samples)
    size = sum(film.size for film in films)
    looked_at = sum(sample.size for sample in samples)
    seconds = sum(sample.seconds for sample in samples)
    frames = sum(sample.seconds * sample.rate for sample in samples)
    share = size / looked_at if looked_at else 0.0
    took = sum(sample.took for sample in samples)
    speed = sum(sample.colored for sample in samples) / took if took else 0.0
    hours = frames * share / speed / 3600 if speed else 0.0
    return Estimate(
        films=len(films),
        done=done,
        bytes=size,
        samples=len(samples),
        hours_of_film=round(seconds * share / 3600, 4),
        frames=round(frames * share),
        frames_per_second=round(speed, 3),
        worker_hours=round(hours, 4),
        cost=None if price_per_hour is None else round(hours * price_per_hour, 2),
    )
