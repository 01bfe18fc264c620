"""The command `vidcolor scenes`: a film's shots, as a file to write settings into."""

from pathlib import Path

import click

from vidcolor.cli.group import Refused
from vidcolor.cli.options import deinterlace_option
from vidcolor.cli.preview import one_there
from vidcolor.cli.text import count, one_line
from vidcolor.cli.types import PathName
from vidcolor.errors import VidcolorError


@click.command()
@click.argument("source", metavar="FILM", type=PathName(dir_okay=False), callback=one_there)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    help="TOML file to write.  [default: NAME.scenes.toml beside the film]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file, and what was set in it.")
@deinterlace_option
def scenes(source: Path, output: Path | None, overwrite: bool, deinterlace: bool) -> None:
    """Find the scenes of a film and write them into a file, for settings of their own.

    Beside the file NAME.scenes.toml, a folder NAME.scenes is written with a still of each scene,
    and a sheet NAME.scenes.png of all of them with their numbers.
    """
    target = output or source.with_name(f"{source.stem}.scenes.toml")
    if target.suffix != ".toml":
        raise Refused(f"{target}: the scenes are written as TOML; give a name that ends with .toml")
    if target.exists() and not overwrite:
        raise VidcolorError(
            f"{target} exists already, perhaps with your settings; "
            "add --overwrite, or give another --output"
        )
    click.echo(f"looking for shots in {one_line(str(source))}", err=True)

    from vidcolor.control.sheet import write_scenes
    from vidcolor.media.probe import probe
    from vidcolor.shots import scan_film

    film = probe(source, deinterlace=deinterlace)
    shots = scan_film(film).shots()
    sheets = write_scenes(film, shots, target)
    click.echo(f"{count(len(shots), 'scene')}: {one_line(', '.join(map(str, sheets)))}", err=True)
    click.echo(one_line(str(target)))
