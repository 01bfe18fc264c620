"""Which films an archive has, and what their results are called."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vidcolor.archive.layout import SourceFilm
from vidcolor.archive.store import Store, check_name
from vidcolor.batch import FILMS, MARKS, STILLS, result_name
from vidcolor.errors import VidcolorError


@dataclass
class Archive:
    """What was found in the source, and what of it is done."""

    films: list[SourceFilm] = field(default_factory=list)
    """That have no result yet, longest first as far as bytes tell."""
    done: int = 0
    """How many others have a result."""
    refused: list[tuple[SourceFilm, str]] = field(default_factory=list)
    """Films that cannot have a result, and why."""
    stills: int = 0
    """Which are left out; `vidcolor colorize` takes them."""


def find_films(source: Store, target: Store) -> Archive:
    """Look at all of `source`, and at the results in `target`.

    Raises VidcolorError where there is no film.
    """
    results = {entry.name for entry in target.list()}
    archive = Archive()
    taken: dict[str, str] = {}
    for film in _found(source, archive):
        try:
            _check(film, taken)
        except VidcolorError as error:
            archive.refused.append((film, str(error)))
            continue
        taken[film.target] = film.name
        if film.target in results:
            archive.done += 1
        else:
            archive.films.append(film)
    archive.films.sort(key=lambda film: (-film.size, film.name))
    if not (archive.films or archive.done or archive.refused):
        raise VidcolorError(f"no films in {source.address}; check the name")
    return archive


def _found(source: Store, archive: Archive) -> Iterator[SourceFilm]:
    for entry in source.list():
        path = PurePosixPath(entry.name)
        if any(part.startswith(".") for part in path.parts):
            continue
        if PurePosixPath(path.stem).suffix in MARKS:  # of results
            continue
        suffix = path.suffix.lower()
        archive.stills += suffix in STILLS
        if suffix in FILMS:
            target = path.with_name(result_name(Path(path.name), "film"))
            yield SourceFilm(entry.name, entry.size, entry.version, str(target))


def _check(film: SourceFilm, taken: dict[str, str]) -> None:
    check_name(film.name)
    check_name(film.target)
    if film.target in taken:
        raise VidcolorError(
            f"{taken[film.target]} and {film.name} would both become {film.target}; rename one"
        )
