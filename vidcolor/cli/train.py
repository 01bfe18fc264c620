"""The command `vidcolor train`: photos in, a model out."""

from pathlib import Path

import click

from vidcolor.cli.options import device_option


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A folder or zip file of colour photos; may be given several times.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The run's folder; a run that was stopped goes on from its checkpoint.",
)
@click.option("--compile", "compiled", is_flag=True, help="Faster; needs a C++ compiler.")
@device_option
def train(recipe: Path, data: tuple[Path, ...], out: Path, compiled: bool, device: str) -> None:
    """Pretrain the generator `lite` and write OUT/final.safetensors, which --model takes."""
    from rich.console import Console
    from rich.progress import Progress

    from vidcolor.device import choose_device
    from vidcolor.nogan.photos import load_photos
    from vidcolor.nogan.pretrain import export, pretrain
    from vidcolor.nogan.recipe import read_recipe

    settings = read_recipe(recipe)
    console = Console(stderr=True)
    with console.status("reading photos"):
        photos = load_photos(data, smallest=settings.crop * 3 // 4)
    click.echo(
        f"{len(photos.pictures)} photos; left out: {photos.gray} gray, {photos.broken} broken",
        err=True,
    )
    with Progress(console=console) as progress:
        bar = progress.add_task("pretraining", total=settings.steps)

        def on_step(step: int, loss: float, rate: float) -> None:
            text = f"step {step}, loss {loss:.3f}, {rate:.0f} crops/s"
            progress.update(bar, completed=step, description=text)

        generator = pretrain(
            settings, photos, out, device=choose_device(device), compiled=compiled, on_step=on_step
        )
    final = out / "final.safetensors"
    names = ", ".join(place.name for place in data)
    export(generator, final, settings, {"data": f"{len(photos.pictures)} photos of {names}"})
    click.echo(f"{final}: use it with --model {final}", err=True)
