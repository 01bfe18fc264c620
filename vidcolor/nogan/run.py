"""A run's folder: the recipe, a log, checkpoints, curves and pictures."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from vidcolor.errors import RecipeError
from vidcolor.nogan.distributed import DistributedContext
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

    @classmethod
    def open(cls, folder: Path, recipe: Path, context: DistributedContext, *, resume: bool) -> Run:
        """Make the folder, or go on in it; RecipeError if it is taken and `resume` is not given."""
        kept = folder / "recipe.toml"
        if kept.exists() and not resume:
            raise RecipeError(f"{folder} holds a run; add --resume, or choose another --out")
        if kept.exists() and not _differ_in_steps_only(kept, recipe):
            raise RecipeError(
                f"{recipe} is not the recipe that {folder} was begun with; resume with {kept}"
            )
        context.wait()
        if context.rank == 0:
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

    def restore(self, phase: str, parts: dict[str, Stateful]) -> dict[str, Any]:
        """Load a phase's unfinished state into its parts; returns what else was saved, or {}."""
        path = self.partial(phase)
        state = read_state(path) if path.exists() else {}
        for name, part in parts.items() if state else ():
            part.load_state_dict(state[name])
        self._forget(phase, state.get("step", 0))
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

    def latest(self, kind: str, phases: list[str]) -> dict[str, Any] | None:
        """The newest state of "generator" or "critic" among finished phases, the last one first."""
        for phase in reversed(phases):
            if self.is_done(phase):
                state = read_state(self.result(phase))
                if kind in state:
                    return state[kind]
        return None

    def log(self, phase: str, step: int, **values: float | str) -> None:
        """One line of log.jsonl, and the numbers among TensorBoard's events."""
        if self.context.rank:
            return
        for name, value in values.items() if self._events else ():
            if not isinstance(value, str):
                self._events.add_scalar(f"{phase}/{name}", value, step)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"phase": phase, "step": step} | _json(values)) + "\n")

    def _forget(self, phase: str, step: int) -> None:
        """Drop what the log says about steps that are taken again."""
        path = self.folder / "log.jsonl"
        if self.context.rank == 0 and path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if not _is_after(line, phase, step)]
            path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self.context.wait()

    @cached_property
    def _events(self) -> Any:
        """TensorBoard's writer; None where the package `tensorboard` is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return None
        return SummaryWriter(str(self.folder / "events"))

    def write(self, path: Path, content: dict[str, Any]) -> None:
        """Write a file of tensors, which bears its name when it is whole."""
        if self.context.rank == 0:
            partial = path.with_suffix(".tmp")
            with partial.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        self.context.wait()


RENAMED = {
    "painter": "generator",
    "descent": "optimizer",
    "artist": "generator_optimizer",
    "judging": "critic_optimizer",
}
"""Parts of a run's state as version 0.1 called them -> today's names."""


def read_state(path: Path) -> dict[str, Any]:
    """A checkpoint of a run, under today's names."""
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
    """Whether two recipes are alike, but that phases of pretraining may be longer or shorter."""
    if kept.read_bytes() == recipe.read_bytes():
        return True
    settings = (read_recipe(path) for path in (kept, recipe))
    ours, theirs = (
        replace(s, pretrain=tuple(replace(stage, steps=1) for stage in s.pretrain))
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
