"""A run's folder: the recipe, a log, checkpoints, curves and pictures."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from vidcolor.errors import RecipeError
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.files import reading, replacing, writing
from vidcolor.nogan.recipe import read_recipe


class Stateful(Protocol):
    """Anything that a checkpoint holds."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Run:
    """`checkpoints/PHASE.pt` is a finished phase, `checkpoints/PHASE.partial.pt` one under way."""

    folder: Path
    context: DistributedContext
    _events: dict[str, Any] = field(default_factory=dict)
    """TensorBoard's writers by phase; None where the package `tensorboard` is not installed."""

    @classmethod
    def open(cls, folder: Path, recipe: Path, context: DistributedContext, *, resume: bool) -> Run:
        """Make the folder, or continue in it.

        Raises RecipeError as `check_folder`, TrainingError if the folder cannot be made.
        """
        check_folder(folder, recipe, resume=resume)
        kept = folder / "recipe.toml"
        context.wait()
        if context.rank == 0:
            with writing(folder):
                (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
                if not kept.exists() or kept.read_bytes() != recipe.read_bytes():
                    shutil.copyfile(recipe, kept)
        context.wait()
        return cls(folder, context)

    def result(self, phase: str) -> Path:
        return self.folder / "checkpoints" / f"{phase}.pt"

    def partial(self, phase: str) -> Path:
        return self.folder / "checkpoints" / f"{phase}.partial.pt"

    def is_done(self, phase: str) -> bool:
        return self.result(phase).exists()

    def check_photos(self, photos: str, validation: str) -> None:
        """Keep the photos' fingerprints; RecipeError if the run was begun with other photos."""
        path = self.folder / "photos.json"
        today = {"photos": photos, "validation": validation}
        if path.exists():
            with reading(path):
                before = {
                    name: json.loads(path.read_text(encoding="utf-8"))[name] for name in today
                }
            for name, words in (("photos", "--data"), ("validation", "--val or --data")):
                if before[name] != today[name]:
                    raise RecipeError(
                        f"{self.folder} was begun with other photos in {words}; give the same "
                        "ones, or begin again in another --out"
                    )
        self.context.wait()
        if self.context.rank == 0 and not path.exists():
            with replacing(path) as partial:
                partial.write_text(json.dumps(today), encoding="utf-8")
        self.context.wait()

    def restore(self, phase: str, parts: dict[str, Stateful]) -> dict[str, Any]:
        """Load a phase's unfinished state into its parts; returns what else was saved, or {}."""
        path = self.partial(phase)
        state = read_state(path) if path.exists() else {}
        if state:
            with reading(path):
                for name, part in parts.items():
                    part.load_state_dict(state[name])
        self._forget(phase, state.get("step", -1))
        return state

    def save(self, phase: str, parts: dict[str, Stateful], **others: Any) -> None:
        """Save a phase under way; the old state stays until the new one is whole."""
        states = {name: part.state_dict() for name, part in parts.items()}
        self.write(self.partial(phase), states | others)

    def finish(self, phase: str, states: dict[str, Any]) -> None:
        """Save what a phase made, and forget its unfinished state."""
        self.write(self.result(phase), states)
        if self.context.rank == 0:
            self.partial(phase).unlink(missing_ok=True)
        self.context.wait()

    def latest(self, kind: str, phases: list[str]) -> tuple[str, dict[str, Any]] | None:
        """(phase, state) of the last finished phase that made a "generator" or a "critic"."""
        for phase in reversed(phases):
            if self.is_done(phase):
                state = read_state(self.result(phase))
                if kind in state:
                    return phase, state[kind]
        return None

    def log(self, phase: str, step: int, **values: float | str) -> None:
        """One line of log.jsonl, and the numbers among TensorBoard's events."""
        if self.context.rank:
            return
        events = self._events.get(phase)
        for name, value in values.items():
            if events is not None and not isinstance(value, str):
                events.add_scalar(name, value, step)
        path = self.folder / "log.jsonl"
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"phase": phase, "step": step} | _json(values)) + "\n")

    def log_picture(self, phase: str, step: int, pixels: NDArray | None) -> None:
        """A picture (H, W, 3) uint8 among TensorBoard's events."""
        events = self._events.get(phase)
        if events is not None and pixels is not None:
            events.add_image("samples", pixels, step, dataformats="HWC")

    def _forget(self, phase: str, step: int) -> None:
        """Drop what the log and TensorBoard's events say about steps that are taken again."""
        path = self.folder / "log.jsonl"
        if self.context.rank == 0:
            self._events[phase] = _event_writer(self.folder / "events" / phase, step)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            kept = [line for line in lines if not _is_after(line, phase, step)]
            if kept != lines:
                with replacing(path) as partial:
                    partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self.context.wait()

    def write(self, path: Path, content: dict[str, Any]) -> None:
        """Write a file of tensors, under its final name when it is whole.

        Raises TrainingError if it cannot be written; what was there before stays.
        """
        if self.context.rank == 0:
            with replacing(path) as partial, partial.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
        self.context.wait()


def check_folder(folder: Path, recipe: Path, *, resume: bool) -> None:
    """Raise RecipeError if `folder` holds a run and `resume` is not given, or another recipe's."""
    kept = folder / "recipe.toml"
    try:
        if not kept.exists():
            return
        same = _differ_in_steps_only(kept, recipe)
    except OSError as error:
        raise RecipeError(f"cannot read {kept} ({error.strerror}); choose another --out") from error
    if not resume:
        raise RecipeError(f"{folder} holds a run; add --resume, or choose another --out")
    if not same:
        raise RecipeError(
            f"{recipe} is not the recipe that {folder} was begun with; resume with {kept}"
        )


def _event_writer(folder: Path, step: int) -> Any:
    """TensorBoard's writer of a phase that continues after `step`; None without tensorboard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    with writing(folder):
        return SummaryWriter(str(folder), purge_step=step + 1)


RENAMED = {
    "painter": "generator",
    "descent": "optimizer",
    "artist": "generator_optimizer",
    "judging": "critic_optimizer",
    "moves": "generator_steps",
}
"""Parts of a run's state as version 0.1 called them -> today's names."""


def read_state(path: Path) -> dict[str, Any]:
    """A checkpoint of a run, under today's names. Raises TrainingError if it is damaged."""
    with reading(path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state.get("best"), dict):
            state["best"] = _renamed(state["best"])
        return _renamed(state)


def _renamed(state: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in state.items()}


def _json(values: dict[str, float | str]) -> dict[str, float | str | None]:
    """Values that JSON can hold: null for numbers that are not finite."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def _differ_in_steps_only(kept: Path, recipe: Path) -> bool:
    """Whether two recipes are alike, but that stages of the generator may be longer or shorter."""
    if kept.read_bytes() == recipe.read_bytes():
        return True
    settings = (read_recipe(path) for path in (kept, recipe))
    ours, theirs = (
        replace(
            s,
            pretrain=tuple(replace(stage, steps=1) for stage in s.pretrain),
            gan=tuple(replace(stage, steps=1) for stage in s.gan),
        )
        for s in settings
    )
    return ours == theirs


def _is_after(line: str, phase: str, step: int) -> bool:
    """Whether a line of the log is about a later step of this phase, or was cut off by a kill."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return True
    return entry["phase"] == phase and entry["step"] > step
