"""All that is said about a film: its pieces, and how each of them is colored."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.control.piece import Part, PieceControl
from vidcolor.control.scenes import Scene, scene_at, stretches
from vidcolor.inference.colorizer import Colorizer
from vidcolor.media.probe import Film
from vidcolor.media.scan import Scan
from vidcolor.pipeline import Work
from vidcolor.resume.plan import Plan, PlannedPiece, plan_film, plan_shots

Speaker = Callable[[PlannedPiece, Work], Part | None]
"""What is said about a piece beside its scene's settings, from the work on it; None for nothing."""


@dataclass(frozen=True, kw_only=True)
class FilmControl:
    """Scenes, and whatever else is said about pieces."""

    film: Film
    scan: Scan
    scenes: tuple[Scene, ...] = ()
    load: Callable[[str], Colorizer]
    """From the name of a scene's model to its colorizer."""
    speakers: tuple[Speaker, ...] = ()
    """Their parts take their turns after the scene's own."""

    @cached_property
    def plan(self) -> Plan:
        """A piece for each scene, and for each shot that is in none."""
        if not (self.scan.seekable or self.scenes or self.speakers):
            return plan_film(self.film, self.scan)
        return plan_shots(self.film, self.scan, stretches(self.scenes, self.scan))

    def work_for(self, planned: PlannedPiece, work: Work) -> Work:
        """The work on one piece, as `colorize_film` takes it."""
        scene = scene_at(self.scenes, planned.first_frame)
        if scene is not None and not scene.says_nothing:
            work = self._in_scene(work, scene)
        parts = list(scene.parts if scene else ())
        parts += [part for speak in self.speakers if (part := speak(planned, work)) is not None]
        return replace(work, control=PieceControl(tuple(parts))) if parts else work

    def _in_scene(self, work: Work, scene: Scene) -> Work:
        colorizer = work.colorizer
        settings = colorizer.settings
        _ = colorizer.fingerprint  # once, before copies are made
        if scene.model not in (None, colorizer.model):
            colorizer = self.load(scene.model)
            _ = colorizer.fingerprint
            settings = replace(settings, render_factor=colorizer.settings.render_factor)
        said = {name: getattr(scene, name) for name in ("render_factor", "saturation", "hue")}
        given = {name: value for name, value in said.items() if value is not None}
        return replace(
            work,
            colorizer=colorizer.with_settings(replace(settings, **given)),
            smooth=SmoothSettings(strength=scene.smooth) if scene.smooth else work.smooth,
            edges=scene.edges or work.edges,
        )
