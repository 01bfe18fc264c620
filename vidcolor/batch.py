"""Many films and stills: plan what goes where, skip what is done, isolate failures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidcolor.errors import VidcolorError
from vidcolor.media.containers import default_suffix

STILLS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
FILMS = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"),
    *(".vob", ".wmv", ".asf", ".flv", ".ogv", ".3gp", ".mxf", ".dv", ".y4m", ".gif", ".mjpeg"),
    *(".h264", ".264", ".hevc", ".m2v", ".nut", ".divx", ".rm", ".rmvb"),
}
"""What a folder is searched for; a file that is named outright may be called anything."""

MARK = ".color"
"""Stands before the suffix of everything we make, which a folder's search leaves out."""


@dataclass(frozen=True)
class Job:
    """One source and where its colours go."""

    source: Path
    target: Path
    kind: Literal["film", "still"]
    from_folder: bool
    """Found in a folder, so that a target that exists means done; named outright, it is refused."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    frames: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str | None = None


def plan(sources: Sequence[Path], output: Path | None, *, recursive: bool) -> list[Job]:
    """Which files are coloured, and under which names.

    A folder given as output mirrors the tree of a source folder. Without output, the target lies
    beside its source as NAME.color.SUFFIX. Raises VidcolorError where a source is missing, a
    folder holds nothing, or several sources would go into one file.
    """
    found = [(path, root) for source in sources for path, root in _files(source, recursive)]
    several = len(found) > 1 or any(source.is_dir() for source in sources)
    if output is not None and several and _is_file_name(output):
        raise VidcolorError(f"{output} is one file, but there are several sources; name a folder")

    jobs: list[Job] = []
    taken: set[Path] = set()
    for source, root in found:
        kind = "still" if source.suffix.lower() in STILLS else "film"
        target = _target(source, root, output, kind)
        if target in taken:
            # a.avi and a.mkv both want a.color.mkv.
            target = target.with_name(f"{source.name}{MARK}{target.suffix}")
        taken.add(target)
        jobs.append(Job(source, target, kind, from_folder=root is not None))
    return jobs


def run(
    jobs: Sequence[Job],
    work: Callable[[Job], Outcome],
    *,
    overwrite: bool,
) -> Iterator[Outcome]:
    """Do the jobs one after the other; a job that fails does not stop the rest.

    work(job) colours it and returns its outcome, or raises VidcolorError.
    """
    for job in jobs:
        try:
            if not job.source.exists():
                raise VidcolorError(f"{job.source}: no such file or folder; is the name right?")
            if job.target.exists() and not overwrite:
                if job.from_folder:
                    yield Outcome(job, "skipped")
                    continue
                raise VidcolorError(
                    f"{job.target} exists already; add --overwrite, or give another --output"
                )
            _make_folder(job.target.parent)
            outcome = work(job)
        except VidcolorError as error:
            outcome = Outcome(job, "failed", error=str(error))
        yield outcome


def _files(source: Path, recursive: bool) -> Iterator[tuple[Path, Path | None]]:
    """(file, the folder that was given) for each file of a source."""
    if not source.is_dir():
        yield source, None
        return
    paths = source.rglob("*") if recursive else source.iterdir()
    files = sorted(path for path in paths if _wanted(path))
    if not files:
        hint = "" if recursive else "; --recursive looks into its folders too"
        raise VidcolorError(f"{source}: no films or stills in this folder{hint}")
    for path in files:
        yield path, source


def _wanted(path: Path) -> bool:
    return (
        path.suffix.lower() in FILMS | STILLS
        and not path.name.startswith(".")
        and Path(path.stem).suffix != MARK
        and path.is_file()
    )


def _is_file_name(output: Path) -> bool:
    return not output.is_dir() and output.suffix.lower() in FILMS | STILLS


def _target(source: Path, root: Path | None, output: Path | None, kind: str) -> Path:
    if output is not None and root is None and _is_file_name(output):
        return output
    suffix = source.suffix if kind == "still" else default_suffix(source)
    name = f"{source.stem}{MARK}{suffix}"
    if output is None:
        return source.with_name(name)
    return output / source.relative_to(root).with_name(name) if root else output / name


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VidcolorError(
            f"{folder}: cannot make this folder ({error.strerror}); give another --output"
        ) from error
