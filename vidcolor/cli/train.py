"""The command `vidcolor train`: photos in, a model out."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidcolor.cli.options import device_option

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from vidcolor.nogan.clips import Clips
    from vidcolor.nogan.distributed import DistributedContext
    from vidcolor.nogan.photos import PhotoSet
    from vidcolor.nogan.recipe import Recipe


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A folder, zip or tar of color photos; may be given several times.",
)
@click.option(
    "--val",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Photos to score with; otherwise a share of --data is held back, as the recipe says.",
)
@click.option(
    "--clips",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Films, or folders of films, on whose gray versions scores look for flicker.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The run's folder.  [default: runs/ and the recipe's name]",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep decoded photos in this folder, for sets that memory does not hold.",
)
@click.option(
    "--phase",
    "only",
    multiple=True,
    help="Run only this phase, such as gan-1, or critic for all of its kind; repeatable.",
)
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin with this generator: a run's checkpoint, or a published one.",
)
@click.option("--resume", is_flag=True, help="Go on in a folder that holds a run already.")
@click.option("--dry-run", is_flag=True, help="Print the plan and do nothing.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "fp16", "bf16"]),
    default="auto",
    show_default=True,
)
@click.option("--compile", "compiled", is_flag=True, help="Faster; needs a C++ compiler.")
@device_option
def train(
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
    """Train a generator as RECIPE says and write OUT/final.safetensors, which --model takes."""
    from rich.console import Console

    from vidcolor.nogan.distributed import join_processes
    from vidcolor.nogan.photo_cache import open_cache
    from vidcolor.nogan.photos import load_photos
    from vidcolor.nogan.recipe import read_recipe
    from vidcolor.nogan.run import Run
    from vidcolor.nogan.train import choose_phases
    from vidcolor.nogan.train import train as train_all

    settings = read_recipe(recipe)
    choose_phases(settings, only)
    context = join_processes(device, precision, compiled=compiled)
    console = Console(stderr=True, quiet=context.rank > 0)
    smallest = max(stage.size for stage in settings.pretrain) * 3 // 4
    with console.status("reading photos"):
        if cache:
            photos: PhotoSet = open_cache(data, cache, smallest=smallest)
        else:
            photos = load_photos(data, smallest=smallest)
        if val:
            validation: PhotoSet = load_photos(val, smallest=smallest)
        else:
            photos, validation = photos.split(settings.validation, settings.seed)
    console.print(
        f"{len(photos)} photos, {len(validation)} to score with; left out: {photos.gray} gray, "
        f"{photos.broken} broken, {photos.small} smaller than {smallest} pixels"
    )
    if dry_run:
        show_plan(console, settings, len(photos), context)
        return
    moments = read_clips(clips, settings.gan.size) if clips and settings.gan else None
    folder = out or Path("runs") / recipe.stem
    run = Run.open(folder, recipe, context, resume=resume)
    if not find_spec("tensorboard"):
        console.print("no TensorBoard events: the package tensorboard is not installed")
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
    if final:
        console.print(f"{final}: use it with --model {final}")


def read_clips(places: Sequence[Path], size: int) -> "Clips":
    """A few frames of the films in `places`, to be measured by color distribution consistency."""
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
    """Every phase with what it will take."""
    from datetime import timedelta

    from rich.table import Table

    from vidcolor.nogan.plan import plan

    table = Table("phase", "steps", "size", "batch", "memory", "time")
    total = 0.0
    for row in plan(recipe, photos, context):
        total += row.seconds
        time = str(timedelta(seconds=round(row.seconds)))
        memory = f"{row.memory / 1e9:.1f} GB"
        table.add_row(row.phase, str(row.steps), str(row.size), str(row.batch), memory, time)
    console.print(table)
    console.print(f"{timedelta(seconds=round(total))} in all; rough estimates, without file work")


class Watch:
    """A bar per phase, with the mean loss, photos per second and the time left."""

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
