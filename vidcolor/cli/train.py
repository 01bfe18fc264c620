"""The command `vidcolor train`: from color photos to a model."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidcolor.cli.group import WORDS
from vidcolor.cli.names import shell_command
from vidcolor.cli.options import device_option
from vidcolor.cli.recipes import RecipeName
from vidcolor.cli.text import count, duration, one_line
from vidcolor.cli.types import PathName

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from vidcolor.nogan.clips import Clips
    from vidcolor.nogan.distributed import DistributedContext
    from vidcolor.nogan.photos import PhotoSet
    from vidcolor.nogan.recipe import Recipe


@click.command()
@click.argument("recipe", type=RecipeName())
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=PathName(exists=True),
    help="Folder, zip or tar of color photos; repeatable.",
)
@click.option(
    "--val",
    multiple=True,
    type=PathName(exists=True),
    help="Photos for validation; repeatable.  [default: a share of --data, set by the recipe]",
)
@click.option(
    "--clips",
    multiple=True,
    type=PathName(exists=True),
    help="Film in color, or folder of films, whose flicker is part of the validation score; "
    "repeatable.",
)
@click.option(
    "--out",
    type=PathName(file_okay=False),
    help="Folder of the run.  [default: runs/RECIPE]",
)
@click.option(
    "--cache",
    type=PathName(file_okay=False),
    help="Folder for decoded photos, for sets that do not fit into memory.",
)
@click.option(
    "--phase",
    "only",
    multiple=True,
    help="Run only this phase, such as gan-1, or all of a kind, such as critic; repeatable.",
)
@click.option(
    "--start",
    type=PathName(exists=True, dir_okay=False),
    help="Start from these weights: a checkpoint of a run, or a published model.",
)
@click.option("--resume", is_flag=True, help="Continue the run in the folder.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the phases with estimates of memory and time; train nothing.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "fp16", "bf16"]),
    default="auto",
    show_default=True,
    help="Number format of the computations.",
)
@click.option(
    "--compile", "compiled", is_flag=True, help="Use torch.compile, which needs a C++ compiler."
)
@device_option
@click.pass_context
def train(
    ctx: click.Context,
    recipe: Path,
    data: tuple[Path, ...],
    val: tuple[Path, ...],
    clips: tuple[Path, ...],
    out: Path | None,
    cache: Path | None,
    only: tuple[str, ...],
    start: Path | None,
    resume: bool,
    dry_run: bool,
    precision: str,
    compiled: bool,
    device: str,
) -> None:
    """Train a model on color photos and write it to OUT/final.safetensors.

    RECIPE is a TOML file, or the name of one that comes with vidcolor: tiny (a test of the
    installation), lite, video, stable, artistic, and the classics sagan, pix2pix, wgan-gp.
    `vidcolor FILM --model OUT/final.safetensors` uses the result.
    """
    from rich.console import Console

    from vidcolor.nogan.distributed import join_processes
    from vidcolor.nogan.photo_cache import open_cache
    from vidcolor.nogan.photos import load_photos
    from vidcolor.nogan.recipe import read_recipe
    from vidcolor.nogan.run import Run, check_folder
    from vidcolor.nogan.train import check, choose_phases
    from vidcolor.nogan.train import train as train_all

    settings = read_recipe(recipe)
    choose_phases(settings, only)
    context = join_processes(device, precision, compiled=compiled)
    console = Console(stderr=True, quiet=context.rank > 0)
    smallest = max(stage.size for stage in settings.generator_stages) * 3 // 4
    console.print(one_line(f"recipe {recipe}"), markup=False, highlight=False, soft_wrap=True)
    with console.status("reading photos"):
        if cache:
            photos: PhotoSet = open_cache(data, cache, smallest=smallest)
        else:
            photos = load_photos(data, smallest=smallest, context=context)
        if val:
            validation: PhotoSet = load_photos(val, smallest=smallest, context=context)
        else:
            photos, validation = photos.split(settings.validation, settings.seed)
    console.print(
        f"{count(len(photos), 'photo')} for training, {len(validation)} for validation; left out: "
        f"{photos.gray} gray, {photos.broken} broken, {photos.small} below {smallest} pixels",
        highlight=False,
        soft_wrap=True,
    )
    moments = read_clips(clips, settings.gan_size) if clips and settings.gan_size else None
    folder = out or Path("runs") / recipe.stem
    if dry_run:
        check(settings, photos, validation, context, start)
        check_folder(folder, recipe, resume=resume)
        show_plan(console, settings, len(photos), context)
        return
    run = Run.open(folder, recipe, context, resume=resume)
    if not find_spec("tensorboard"):
        console.print("The package tensorboard is not installed: no TensorBoard events are written")
    try:
        with Watch(console) as watch:
            final = train_all(
                settings,
                photos,
                validation,
                run,
                only=only,
                start=start,
                clips=moments,
                on_phase=lambda now: watch.begin(now.name),
                on_step=watch.step,
            )
    except KeyboardInterrupt as stop:
        words = [word for word in ctx.find_root().meta[WORDS] if word != "--resume"]
        again = shell_command(["vidcolor", *words, "--resume"])
        stop.add_note(f"Stopped; the checkpoints in {folder} are kept.")
        stop.add_note(f"To continue, run: {again}")
        raise
    if final:
        use = shell_command(["vidcolor", "FILM", "--model", str(final)])
        console.print(f"To use it: {use}", markup=False, highlight=False, soft_wrap=True)


def read_clips(places: Sequence[Path], size: int) -> "Clips":
    """A few frames of the films in `places`, for color distribution consistency."""
    from vidcolor.evaluate.pairs import films_in
    from vidcolor.metrics.consistency import Consistency
    from vidcolor.nogan.clips import load_clips

    def measure(frames: "Sequence[NDArray]") -> float:
        consistency = Consistency()
        for frame in frames:
            consistency.add(frame)
        assert consistency.value is not None
        return consistency.value

    return load_clips([film for place in places for film in films_in(place)], size, measure)


def show_plan(
    console: "Console", recipe: "Recipe", photos: int, context: "DistributedContext"
) -> None:
    """Print every phase with estimates of its memory and time."""
    from rich.table import Table

    from vidcolor.nogan.plan import plan

    table = Table("phase", "steps", "size", "batch", "memory", "time")
    total = 0.0
    for row in plan(recipe, photos, context):
        total += row.seconds
        memory = f"{row.memory / 1e9:.1f} GB" if row.memory > 1e8 else f"{row.memory / 1e6:.0f} MB"
        table.add_row(
            row.phase, str(row.steps), str(row.size), str(row.batch), memory, duration(row.seconds)
        )
    console.print(table)
    console.print(
        f"A rough estimate: {duration(total)} for all training steps; reading photos, validation "
        "and checkpoints take additional time.",
        highlight=False,
        soft_wrap=True,
    )


class Watch:
    """A progress bar per phase with mean losses, photos per second and the time left."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[losses]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.task: TaskID | None = None
        self.means: dict[str, float] = {}

    def __enter__(self) -> "Watch":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, phase: str) -> None:
        from time import monotonic

        self.task = self.progress.add_task(phase, total=None, losses="")
        self.means, self.started, self.photos = {}, monotonic(), 0

    def step(self, step: int, steps: int, losses: dict[str, float], photos: int) -> None:
        from time import monotonic

        for name, loss in losses.items():
            mean = self.means.setdefault(name, loss)
            self.means[name] = mean + (loss - mean) / 20
        self.photos += photos
        rate = self.photos / max(1e-6, monotonic() - self.started)
        shown = [f"{name} {mean:.3f}" for name, mean in self.means.items()]
        assert self.task is not None
        self.progress.update(
            self.task,
            completed=step,
            total=steps,
            losses=", ".join([*shown, f"{rate:.0f} photos/s"]),
        )
