"""The command `vidcolor status`: which files are done, running, stopped and left."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidcolor.archive.status import ArchiveState, archive_state, is_archive
from vidcolor.archive.store import is_address, open_store
from vidcolor.batch import Job, plan
from vidcolor.cli.group import Refused
from vidcolor.cli.names import names_of
from vidcolor.cli.options import all_there, json_option, recursive_option
from vidcolor.cli.text import count, duration, one_line
from vidcolor.cli.types import PathName, PlaceName
from vidcolor.errors import VidcolorError
from vidcolor.media.publish import WORK_PREFIX
from vidcolor.resume.manifest import Manifest, load_manifest
from vidcolor.resume.work_folder import is_result, is_running, piece_folder


@dataclass(frozen=True)
class State:
    """Where one film or still stands."""

    source: str
    target: str
    state: str
    """"done", "running", "stopped" or "left"."""
    frames: int | None = None
    """Finished frames of a film that is running or stopped."""
    total: int | None = None
    would: str | None = None
    """What the same command would do now, for a film whose pieces are kept."""

    @property
    def share(self) -> str:
        """Such as "40 %"; at most 99 % before the film exists under its name."""
        if self.frames is None or not self.total:
            return ""
        return f"{min(99, 100 * self.frames // self.total)} %"


@click.command()
@click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    type=PlaceName(),
    callback=lambda *call: folders_there(*call),
)
@click.option("-o", "--output", type=PathName(), help="The --output of the `colorize` command.")
@recursive_option
@json_option
def status(sources: tuple[str, ...], output: Path | None, recursive: bool, as_json: bool) -> None:
    """Show which films and stills are done, running, stopped or left.

    A film that was stopped continues when its `colorize` command is given again. Of a film that
    was made with --keep it is said which scenes that command would color again. Of the DST of
    `vidcolor archive`, which may be an address, show how far its runs are.
    """
    if state := state_of_archive(sources):
        tell_archive(state, as_json=as_json)
        return
    paths = tuple(map(Path, sources))
    jobs = plan(paths, output, recursive=recursive)
    states = list(states_of(jobs, paths))
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2))
        return
    names = {str(source): name for source, name in names_of(jobs).items()}
    Console().print(table(states, names))
    counts = {name: sum(state.state == name for state in states) for name in STATES}
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items() if count))


def folders_there(
    ctx: click.Context, param: click.Parameter, places: tuple[str, ...]
) -> tuple[str, ...]:
    """Callback: refuse what does not exist, as far as that can be seen on this machine."""
    paths = tuple(Path(place) for place in places if not is_address(place))
    all_there(ctx, param, paths)
    if len(paths) < len(places) != 1:
        raise Refused("an address stands alone; give one DST of `vidcolor archive`")
    return places


def state_of_archive(places: tuple[str, ...]) -> ArchiveState | None:
    """What the one place says, if it is the DST of `vidcolor archive`."""
    place = places[0]
    if len(places) > 1 or not (is_address(place) or Path(place).is_dir()):
        return None
    store = open_store(place)
    if is_archive(store):
        return archive_state(store)
    if is_address(place):
        raise VidcolorError(f"{place} is no DST of `vidcolor archive`; check the address")
    return None


def tell_archive(state: ArchiveState, *, as_json: bool) -> None:
    """How far an archive is."""
    if as_json:
        click.echo(json.dumps(asdict(state), indent=2))
        return
    for run in state.runs:
        click.echo(one_line(run_line(run)))
    for film in state.open:
        pieces = f"{film.finished} of {count(film.pieces, 'piece')}"
        click.echo(one_line(f"begun    {film.film}: {pieces}, {count(film.working, 'worker')}"))
    for failed in state.failed:
        click.echo(one_line(f"failed   {failed.get('film')}: {failed.get('error')}"))
    click.echo(f"{state.done} done, {len(state.open)} begun, {len(state.failed)} failed")


def run_line(run: Mapping[str, Any]) -> str:
    """What a run has said last."""

    def number(name: str) -> float:
        value = run.get(name)
        return value if isinstance(value, (int, float)) else 0

    left = f", {duration(number('left'))} left" if run.get("left") else ""
    busy = f"{number('working'):.0f} of {count(round(number('workers')), 'worker')} busy"
    return (
        f"{run['state']:<8} {run.get('how')} on {run.get('host')}: {number('done'):.0f} done and "
        f"{number('failed'):.0f} failed of {count(round(number('films')), 'film')}, "
        f"{count(round(number('frames')), 'frame')}, {number('rate'):.1f} fps, {busy}{left}, "
        f"{duration(number('silent'))} ago"
    )


NAMED = 4
"""Scenes that are named one by one."""

STATES = ("done", "running", "stopped", "left")


def states_of(jobs: Sequence[Job], sources: Sequence[Path]) -> Iterator[State]:
    """The state of each job, and of other films whose results are being made in these folders."""
    for job in jobs:
        yield state_of(job)
    known = {piece_folder(job.target).resolve() for job in jobs}
    for source in sources:
        for folder in sorted(source.glob(f"{WORK_PREFIX}*")) if source.is_dir() else []:
            manifest = load_manifest(folder)
            if manifest and folder.resolve() not in known:
                yield under_way(folder, manifest, str(manifest.source["path"]))


def state_of(job: Job) -> State:
    """The state of one job. A work folder decides before a target, which may be older."""
    folder = piece_folder(job.target)
    manifest = load_manifest(folder)
    if manifest is not None and manifest.keep and is_result(folder, manifest):
        would = None if is_running(folder) else what_would_be_done(job, manifest)
        return State(str(job.source), str(job.target), "done", would=would)
    if manifest is not None and (manifest.frames or is_running(folder)):
        return under_way(folder, manifest, str(job.source))
    state = "done" if job.target.exists() else "left"
    return State(str(job.source), str(job.target), state)


def what_would_be_done(job: Job, manifest: Manifest) -> str | None:
    """In words; None where no command is known."""
    if not manifest.asked:
        return None
    from vidcolor.cli.controlled import colored_again

    try:
        pieces = colored_again(job, manifest)
    except VidcolorError as error:
        return f"the same command would be refused: {error}"
    if not pieces:
        return "nothing has changed"
    named = [f"{piece.first_frame} to {piece.first_frame + piece.frames - 1}" for piece in pieces]
    more = f" and {len(named) - NAMED} more scenes" if len(named) > NAMED else ""
    frames = sum(piece.frames for piece in pieces)
    return f"{count(frames, 'frame')} would be colored again: {', '.join(named[:NAMED])}{more}"


def under_way(folder: Path, manifest: Manifest, source: str) -> State:
    """The state of a film that has a work folder."""
    return State(
        source,
        str(folder.parent / manifest.target),
        "running" if is_running(folder) else "stopped",
        manifest.frames,
        manifest.total,
    )


def table(states: Sequence[State], names: Mapping[str, str]) -> Table:
    """One row for each file."""
    result = Table(box=None, show_header=False, pad_edge=False)
    result.add_column()
    result.add_column(justify="right")
    result.add_column(overflow="fold")
    result.add_column(overflow="fold")
    for state in states:
        name = names.get(state.source) or one_line(Path(state.source).name)
        result.add_row(state.state, state.share, Text(name), Text(one_line(state.would or "")))
    return result
