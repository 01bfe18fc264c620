"""The command `vidcolor weights`: list, download and verify models."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from vidcolor.cli.options import json_option, weights_dir_option
from vidcolor.cli.text import one_line
from vidcolor.weights.catalog import MODELS, Model
from vidcolor.weights.check import damage, sha256
from vidcolor.weights.places import carried_folder, download_folder, folders, locate, mend
from vidcolor.weights.resolve import resolve

model_names = click.Choice(list(MODELS))


@click.group()
def weights() -> None:
    """List, download and verify models.

    They are searched in --weights-dir, $VIDCOLOR_WEIGHTS, the folder that comes with vidcolor and
    the user's cache. A model that is in none of them is downloaded when it is first used.
    """


@weights.command("list")
@weights_dir_option
@json_option
def list_models(weights_dir: Path | None, as_json: bool) -> None:
    """Show the models and which of them are on this machine."""
    rows = [(model, *_at_hand(model, weights_dir)) for model in MODELS.values()]
    if as_json:
        entries = [
            asdict(model) | {"at_hand": state, "path": str(path) if path else None}
            for model, state, path in rows
        ]
        click.echo(json.dumps(entries, indent=2))
        return
    table = Table(box=SIMPLE)
    for heading in ("model", "architecture", "size", "origin", "license", "on this machine"):
        table.add_column(heading, no_wrap=True)
    for model, state, path in rows:
        size = model.size or (path.stat().st_size if path else None)
        table.add_row(
            model.name,
            model.architecture,
            f"{size / 1e6:,.0f} MB" if size else "",
            model.origin,
            model.license,
            state,
        )
    Console().print(table)
    for model, _, path in rows:
        if path:
            click.echo(f"{model.name}: {one_line(str(path))}")
    if any(model.mirrors and state == "no" for model, state, _ in rows):
        click.echo("The others are downloaded on first use, or by `vidcolor weights pull MODEL`.")


@weights.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=model_names)
@weights_dir_option
def pull(models: tuple[str, ...], weights_dir: Path | None) -> None:
    """Download models that are not on this machine."""
    for name in models:
        with download_progress(name) as on_progress:
            path = resolve(name, weights_dir, on_progress=on_progress)
        click.echo(f"{name}: {one_line(str(path))}")


@weights.command()
@weights_dir_option
@click.pass_context
def verify(context: click.Context, weights_dir: Path | None) -> None:
    """Verify the model files on this machine.

    Compares them with their published SHA-256 and prints ok, damaged or unknown (not a published
    model) for each of them. Exits with 1 if one is damaged.
    """
    known = {model.file: model for model in MODELS.values()}
    files = [
        path
        for folder in folders(weights_dir)
        for path in sorted(folder.glob("*"))
        if path.suffix in (".pth", ".safetensors")
    ]
    damaged = False
    for path in files:
        model = known.get(path.name)
        wrong = _wrong(path, model) if model else None
        damaged = damaged or wrong is not None
        shown = one_line(str(path))
        if model and wrong:
            click.echo(f"damaged  {shown} {wrong}; {mend(model)}")
        elif model and model.sha256:
            click.echo(f"ok       {shown}")
        else:
            click.echo(f"unknown  {shown} has no published SHA-256 to compare with")
    if not files:
        click.echo("there is no model here; `vidcolor weights pull MODEL` downloads one")
    if damaged:
        context.exit(1)


@weights.command("path")
@click.argument("model", required=False, type=model_names)
@weights_dir_option
def show_path(model: str | None, weights_dir: Path | None) -> None:
    """Print the path of MODEL; without MODEL, the folder for downloads."""
    if model is None:
        click.echo(download_folder(weights_dir))
        return
    wanted = MODELS[model]
    folder = download_folder(weights_dir) if wanted.mirrors else carried_folder()
    click.echo(locate(wanted, weights_dir) or folder / wanted.file)


def _at_hand(model: Model, weights_dir: Path | None) -> tuple[str, Path | None]:
    path = locate(model, weights_dir)
    if path is None:
        return "no", None
    return ("damaged" if damage(path, model) else "yes"), path


def _wrong(path: Path, model: Model) -> str | None:
    """What is wrong with the file, by its whole hash; None if nothing is."""
    seen = damage(path, model)
    if seen or not model.sha256:
        return seen
    return None if sha256(path) == model.sha256 else "does not have the published SHA-256"


@contextmanager
def download_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A callback that shows a download on stderr: a bar in a terminal, else a line every 10 %.

    Nothing is shown before its first call.
    """
    console = Console(stderr=True)
    begun = False
    with _bar(name, console) if console.is_terminal else nullcontext(_lines(name)) as show:

        def show_more(done: int, total: int) -> None:
            nonlocal begun
            begun = True
            show(done, total)

        try:
            yield show_more
        except KeyboardInterrupt as stop:
            if begun:
                stop.add_note(f"Stopped; the same command continues the download of {name}.")
            raise


@contextmanager
def _bar(name: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    task = bar.add_task(f"Downloading {name}", total=None)

    def show(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()


def _lines(name: str) -> Callable[[int, int], None]:
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        tenth = 10 * done // total
        if tenth != shown:
            shown = tenth
            click.echo(
                f"downloading {name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB ({10 * tenth} %)",
                err=True,
            )

    return show
