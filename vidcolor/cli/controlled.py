"""From options to what is said about a film: its scenes, its pieces, and the work on each."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.batch import Job
from vidcolor.choices import film_settings, render_settings
from vidcolor.errors import VidcolorError
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.probe import Film, probe
from vidcolor.resume.manifest import Manifest

if TYPE_CHECKING:
    from vidcolor.control.film_control import FilmControl, Speaker
    from vidcolor.control.scenes import Scene
    from vidcolor.media.scan import Scan
    from vidcolor.resume.plan import PlannedPiece

NOT_ASKED = {"as_json", "quiet", "verbose", "log_file", "overwrite", "fresh", "output", "recursive"}
"""Options that do not change what is made of a film."""

PATHS = ("scenes", "references", "hints", "like", "weights_dir")
"""Options that name files or folders."""


def control_film(
    film: Film,
    scan: "Scan",
    options: Mapping[str, Any],
    render: RenderSettings,
    on_note: Callable[[str], None],
) -> "FilmControl":
    """What the options say about a film. Raises VidcolorError where it does not fit the film."""
    from vidcolor.cli.models import load_colorizer
    from vidcolor.control.film_control import FilmControl
    from vidcolor.control.scenes import check_scenes

    scenes = read_scenes(options)
    if scenes:
        check_scenes(scenes, scan, options["scenes"])

    @cache
    def load(name: str):
        return load_colorizer(name, render, options["device"], options["weights_dir"], on_note)

    return FilmControl(
        film=film, scan=scan, scenes=scenes, load=load, speakers=speakers(film, scan, options)
    )


def speakers(film: Film, scan: "Scan", options: Mapping[str, Any]) -> "tuple[Speaker, ...]":
    """Palette, references and hints. Raises VidcolorError where they do not fit the film."""
    from vidcolor.control.corrections import Corrections
    from vidcolor.control.palette import Lender

    references, hints, like = (options.get(name) for name in ("references", "hints", "like"))
    found: list[Speaker] = [Lender.load(like)] if like else []
    if references or hints:
        found.append(Corrections.load(film, scan, references, hints))
    return tuple(found)


def read_scenes(options: Mapping[str, Any]) -> "tuple[Scene, ...]":
    """The scenes of --scenes; none without it. Raises VidcolorError for a faulty file."""
    if not options.get("scenes"):
        return ()
    from vidcolor.control.scenes import load_scenes

    return load_scenes(options["scenes"])


def scan_of(film: Film, target: Path, on_note: Callable[[str], None]) -> "Scan":
    """What is kept about the film beside `target`, or else found out now."""
    from vidcolor.resume.kept_scan import kept_scan
    from vidcolor.shots import scan_film

    found = kept_scan(film.path, target)
    if found is None or film.deinterlace:
        on_note("looking for shots")
        found = scan_film(film)
    return found


def colored_again(job: Job, manifest: Manifest) -> "list[PlannedPiece]":
    """The pieces that the command of an earlier run would color now.

    Raises VidcolorError where that command would be refused.
    """
    from vidcolor.cli.models import load_colorizer
    from vidcolor.film import film_work
    from vidcolor.pieces import piece_digest

    options = options_of(manifest.asked)
    settings, render = film_settings(options), render_settings(options)
    film = probe(job.source, deinterlace=settings.deinterlace)
    scan = scan_of(film, job.target, lambda note: None)
    control = control_film(film, scan, options, render, lambda note: None)
    colorizer = load_colorizer(options["model"], render, options["device"], options["weights_dir"])
    work = film_work(film, job.target, colorizer, settings)
    made = {piece.digest for piece in manifest.pieces}
    works = ((piece, control.work_for(piece, work)) for piece in control.plan.pieces)
    return [piece for piece, own in works if piece_digest(own, piece) not in made]


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a later run needs to know, as plain values."""
    return {
        name: str(value.absolute()) if isinstance(value, Path) else value
        for name, value in options.items()
        if name not in NOT_ASKED
    }


def options_of(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What was given to `plain_options`; those that are missing there are as if not given."""
    options = {"as_json": False, "verbose": False, "overwrite": False, "fresh": False, **plain}
    for name in PATHS:
        if not isinstance(options.get(name), (str, type(None))):
            raise VidcolorError(f"the kept option {name} is damaged; add --fresh to start over")
        options[name] = Path(options[name]) if options.get(name) else None
    return {**options, "quiet": True}
