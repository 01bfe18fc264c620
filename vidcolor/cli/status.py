"""The command `vidcolor status`: what of a folder is done, under way and left."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidcolor.batch import Job, plan
from vidcolor.media.publish import WORK_PREFIX
from vidcolor.resume.manifest import Manifest, load_manifest
from vidcolor.resume.work_folder import is_running, piece_folder


@dataclass(frozen=True)
class State:
    """Where one film or still stands."""

    source: str
    target: str
    state: str
    """"done", "running", "stopped" or "left"."""
    frames: int | None = None
    """Finished, of a film that is running or stopped."""
    total: int | None = None

    @property
    def share(self) -> str:
        """Such as 40 %; never 100 % before the film is there."""
        if self.frames is None or not self.total:
            return ""
        return f"{min(99, 100 * self.frames // self.total)} %"


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="As it was given to `colorize`."
)
@click.option("--recursive", is_flag=True, help="Look into the folders of folders too.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(sources: tuple[Path, ...], output: Path | None, recursive: bool, as_json: bool) -> None:
    """Say what of films, stills and folders is done, under way and left.

    A film that was stopped goes on when its command is given again.
    """
    states = list(states_of(plan(sources, output, recursive=recursive), sources))
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2))
        return
    Console().print(table(states))
    counts = {name: sum(state.state == name for state in states) for name in STATES}
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items() if count))


STATES = ("done", "running", "stopped", "left")


def states_of(jobs: Sequence[Job], sources: Sequence[Path]) -> Iterator[State]:
    """The state of each job, and of films from elsewhere that are made in the folders `sources`."""
    for job in jobs:
        yield state_of(job)
    known = {piece_folder(job.target).resolve() for job in jobs}
    for source in sources:
        for folder in sorted(source.glob(f"{WORK_PREFIX}*")) if source.is_dir() else []:
            manifest = load_manifest(folder)
            if manifest and folder.resolve() not in known:
                yield under_way(folder, manifest)


def state_of(job: Job) -> State:
    """A work folder counts more than a target, which may be older."""
    folder = piece_folder(job.target)
    manifest = load_manifest(folder)
    if manifest is not None:
        return under_way(folder, manifest)
    state = "done" if job.target.exists() else "left"
    return State(str(job.source), str(job.target), state)


def under_way(folder: Path, manifest: Manifest) -> State:
    """A film of which some may be finished."""
    return State(
        str(manifest.source["path"]),
        str(folder.parent / manifest.target),
        "running" if is_running(folder) else "stopped",
        manifest.frames,
        manifest.total,
    )


def table(states: Sequence[State]) -> Table:
    """One row for each file."""
    result = Table(box=None, show_header=False)
    result.add_column()
    result.add_column(justify="right")
    result.add_column(overflow="fold")
    for state in states:
        result.add_row(state.state, state.share, Text(Path(state.source).name))
    return result
