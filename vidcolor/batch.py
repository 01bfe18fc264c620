"""Many films and stills: plan what goes where, skip what is done, isolate failures."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidcolor.errors import VidcolorError
from vidcolor.media.containers import default_suffix, muxer
from vidcolor.resume.done_log import DoneLog, sweep_done_logs
from vidcolor.resume.store import kept
from vidcolor.resume.work_folder import sweep

log = logging.getLogger(__name__)

STILLS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
FILMS = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"),
    *(".vob", ".wmv", ".asf", ".flv", ".ogv", ".3gp", ".mxf", ".dv", ".y4m", ".gif"),
    *(".h264", ".264", ".hevc", ".m2v", ".nut", ".divx", ".rm", ".rmvb"),
}
"""What a folder is searched for; a file that is named itself may have any name."""

MARK = ".color"
"""Stands before the suffix of every result."""

MARKS = {MARK, ".preview"}
"""Marks of earlier results, which the search of a folder leaves out."""


@dataclass(frozen=True)
class Job:
    """One source and where its colors go."""

    source: Path
    target: Path
    kind: Literal["film", "still"]
    folder: Path | None = None
    """The source folder it was found in, or None where the file was named itself. A target that
    exists means done in the first case, and is refused in the second."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    frames: int = 0
    kept: int = 0
    """So many of the frames an earlier run had made."""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str | None = None


def plan(sources: Sequence[Path], output: Path | None, *, recursive: bool) -> list[Job]:
    """Which files are colored, and under which names.

    A folder given as output mirrors the tree of a source folder. Without output, the target lies
    beside its source as NAME.color.SUFFIX; a film whose container changes keeps its old suffix in
    the name, so that a.avi and a.mkv get different ones. Raises VidcolorError where a source cannot
    be read, where there is nothing to do, or where two sources would become one file.
    """
    try:
        found = {
            path.resolve(): (path, root)
            for source in sources
            for path, root in _files(source, recursive)
        }
        several = len(found) > 1 or any(source.is_dir() for source in sources)
        jobs: dict[Path, Job] = {}
        for source, root in found.values():
            kind = kind_of(source)
            target = _target(source, root, output, kind, several=several)
            if target in jobs:
                raise VidcolorError(
                    f"{jobs[target].source} and {source} would both become {target}; "
                    "color them in two calls, with different --output folders"
                )
            jobs[target] = Job(source, target, kind, folder=root)
    except OSError as error:
        raise VidcolorError(f"{error.filename}: {error.strerror}; check its permissions") from error
    if not jobs:
        hint = "" if recursive else "; --recursive looks into their folders too"
        raise VidcolorError(f"no films or stills in {', '.join(map(str, sources))}{hint}")
    return list(jobs.values())


def check_suffix(job: Job) -> None:
    """Raises MediaError for a target whose suffix its kind cannot be written with."""
    if job.kind == "film":
        muxer(job.target.suffix)
        return
    from vidcolor.media.still.picture import format_of  # imports numpy and Pillow

    format_of(job.target)


def kind_of(source: Path) -> Literal["film", "still"]:
    """What a source is taken for, by its suffix."""
    return "still" if source.suffix.lower() in STILLS else "film"


def run(
    jobs: Sequence[Job],
    work: Callable[[Job], Outcome],
    *,
    overwrite: bool,
    done_log: DoneLog,
    may_replace: Callable[[Path], bool] = lambda target: False,
) -> Iterator[Outcome]:
    """Do the jobs one after the other; a job that fails does not stop the rest.

    work(job) colors it and returns its outcome; whatever it raises, the job has failed and the next
    one begins. Only KeyboardInterrupt and its like end the run.
    done_log: what the same command has made before it was stopped; that is not made again, neither
    with `overwrite` nor where the source is named.
    may_replace: whether a result that exists may be replaced without `overwrite`.
    Unusable leftovers of earlier runs in the folders of the targets are removed first.
    """
    folders = dict.fromkeys(job.target.parent for job in jobs)
    for folder in folders:
        sweep(folder)
        sweep_done_logs(folder)
    unfinished = False
    for job in jobs:
        try:
            if not job.source.exists():
                raise VidcolorError(f"{job.source}: no such file or folder; check the name")
            made = done_log.has(job.source, job.target)
            if made or (job.target.exists() and job.folder and not overwrite):
                yield Outcome(job, "skipped")
                continue
            if job.target.exists() and not overwrite and not may_replace(job.target):
                raise VidcolorError(
                    f"{job.target} exists already; add --overwrite, or give another --output"
                )
            _make_folder(job.target.parent)
            outcome = work(job)
            if job is not jobs[-1]:
                done_log.note(job.source, job.target)
        except Exception as error:
            log.error("%s failed", job.source, exc_info=True)
            outcome = Outcome(job, "failed", error=_in_one_line(error, job.source))
            unfinished = unfinished or kept(job.target) is not None
        yield outcome
    if not unfinished:
        for folder in folders:
            done_log.forget(folder)


def _files(source: Path, recursive: bool) -> Iterator[tuple[Path, Path | None]]:
    """(file, the folder that was given) for each file of a source."""
    if not source.is_dir():
        yield source, None
        return
    paths = source.rglob("*") if recursive else source.iterdir()
    for path in sorted(path for path in paths if _wanted(path, source)):
        yield path, source


def _wanted(path: Path, folder: Path) -> bool:
    return (
        path.suffix.lower() in FILMS | STILLS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and Path(path.stem).suffix not in MARKS
        and path.is_file()
    )


def _target(
    source: Path, root: Path | None, output: Path | None, kind: str, *, several: bool
) -> Path:
    if output is not None and output.suffix and not output.is_dir():
        if not several:
            return output
        if output.suffix.lower() in FILMS | STILLS:
            raise VidcolorError(f"{output} is one file, but there are several sources")
    name = result_name(source, kind)
    if output is None:
        return source.with_name(name)
    return output / source.relative_to(root).with_name(name) if root else output / name


def result_name(source: Path, kind: str) -> str:
    """NAME.color.SUFFIX; NAME holds the old suffix of a film whose container changes."""
    suffix = source.suffix if kind == "still" else default_suffix(source)
    stem = source.stem if suffix == source.suffix else source.name
    return f"{stem}{MARK}{suffix}"


def _in_one_line(error: Exception, source: Path) -> str:
    """What went wrong; for an unexpected error, also where its traceback can be found."""
    if isinstance(error, (VidcolorError, OSError)):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{source}: memory ran out; free some, or use a smaller --batch-size"
    said = " ".join([type(error).__name__, *str(error).split()])
    return f"{source}: unexpected error ({said}); --log FILE records where it came from"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VidcolorError(
            f"cannot make the folder {folder} ({error.strerror}); give another --output"
        ) from error
