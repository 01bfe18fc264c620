"""A whole training, phase by phase: pretrain, then images, critic and GAN for each cycle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from vidcolor.errors import RecipeError, TrainingError
from vidcolor.nogan.clips import Clips
from vidcolor.nogan.critic_phase import generate_images, new_critic, train_critic
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.draw import draw_losses
from vidcolor.nogan.features import LiteFeatures
from vidcolor.nogan.files import reading, replacing, writing
from vidcolor.nogan.gan import gan
from vidcolor.nogan.generator_trainer import GeneratorTrainer, Start
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.pretrain import OnStep, gan_steps_of, pretrain, steps_of
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.registry import trainer_class
from vidcolor.nogan.run import Run, read_state
from vidcolor.nogan.score import Scorer
from vidcolor.nogan.settings import Gan, Stage
from vidcolor.nogan.validation import Validation


@dataclass(frozen=True)
class Phase:
    """One step of the whole, with a name such as pretrain-2, images-1, critic-1-1 or gan-1."""

    name: str
    kind: Literal["pretrain", "images", "critic", "gan"]
    stage: Stage | None = None

    def matches(self, name: str) -> bool:
        return self.name == name or self.name.startswith(f"{name}-")


def phases(recipe: Recipe) -> list[Phase]:
    """All phases of a recipe in their order."""
    found = [
        Phase(f"pretrain-{number}", "pretrain", stage)
        for number, stage in enumerate(recipe.pretrain, 1)
    ]
    for cycle in range(1, recipe.cycles + 1):
        assert recipe.critic
        if recipe.images:
            found.append(Phase(f"images-{cycle}", "images"))
        stages = (*(recipe.critic.first if cycle == 1 else ()), *recipe.critic.stages)
        found += [Phase(f"critic-{cycle}-{n}", "critic", s) for n, s in enumerate(stages, 1)]
        several = len(recipe.gan) > 1
        found += [
            Phase(f"gan-{cycle}-{n}" if several else f"gan-{cycle}", "gan", stage)
            for n, stage in enumerate(recipe.gan, 1)
        ]
    return found


def choose_phases(recipe: Recipe, names: Sequence[str]) -> list[Phase]:
    """All phases, or those named: "gan-1" is that one, "gan" those of every cycle."""
    every = phases(recipe)
    for name in names:
        if not any(phase.matches(name) for phase in every):
            known = ", ".join(phase.name for phase in every)
            raise RecipeError(f"there is no phase {name!r}; the recipe has {known}")
    return [p for p in every if not names or any(p.matches(name) for name in names)]


def train(
    recipe: Recipe,
    photos: PhotoSet,
    validation: PhotoSet,
    run: Run,
    *,
    only: Sequence[str] = (),
    start: Path | None = None,
    clips: Clips | None = None,
    on_phase: Callable[[Phase], None] = lambda phase: None,
    on_step: OnStep = lambda step, steps, losses, photos: None,
) -> Path | None:
    """Run the phases that are not finished yet.

    only: names of phases, to run only these.
    start: a checkpoint or published generator to begin from, instead of random weights.
    clips: short clips, on which scores measure flicker.
    Returns final.safetensors, the newest generator, or None where there is none yet.
    Raises RecipeError if a phase lacks what an earlier one makes, or photos are too few.
    """
    check(recipe, photos, validation, run.context, start)
    run.check_photos(photos.fingerprint(), validation.fingerprint())
    every = phases(recipe)
    wanted = choose_phases(recipe, only)
    torch.manual_seed(recipe.seed)
    trainer = new_generator_trainer(recipe, photos, run, start)
    critic = new_critic(recipe.critic, run.context) if recipe.critic else None
    names = [phase.name for phase in every]

    for now in every:
        if now not in wanted or run.is_done(now.name):
            continue
        before = names[: names.index(now.name)]
        check_ready(now, before, run, has_start=start is not None)
        made_in = load_latest(trainer, every, before, run)
        if critic is not None and (found := run.latest("critic", before)):
            with reading(run.result(found[0])):
                critic.load_state_dict(found[1])
        on_phase(now)
        with writing(run.folder):
            where = {"recipe": recipe, "run": run, "phase": now.name, "on_step": on_step}
            folder = run.folder / f"images-{now.name.split('-')[1]}"
            if now.kind == "pretrain":
                assert now.stage is not None
                size, count = now.stage.size, recipe.score_photos
                scored = Validation(validation, size, count, run.context.device)
                pretrain(trainer, now.stage, photos, **where, validation=scored)
            elif now.kind == "images":
                trainer.begin_stage(made_in or recipe.generator_stages[0])
                generate_images(trainer, photos, folder, **where)
            elif now.kind == "critic":
                assert critic is not None and now.stage is not None
                train_critic(trainer, critic, now.stage, folder, **where)
            else:
                assert critic is not None and isinstance(now.stage, Gan)
                scorer = scorer_of(recipe, validation, run.context, clips, now.stage)
                gan(trainer, critic, photos, scorer, stage=now.stage, **where)
            if run.context.rank == 0:
                draw_losses(run.folder)
    with writing(run.folder):
        return export(trainer, recipe, photos, validation, run)


def load_latest(
    trainer: GeneratorTrainer, every: list[Phase], before: list[str], run: Run
) -> Stage | None:
    """Load the newest generator of the phases `before`; returns the stage that trained it."""
    found = run.latest("generator", before)
    if found is None:
        return None
    name, state = found
    with reading(run.result(name)):
        trainer.load_state_dict(state)
    return next(phase.stage for phase in every if phase.name == name)


def check(
    recipe: Recipe,
    photos: PhotoSet,
    validation: PhotoSet,
    context: DistributedContext,
    start: Path | None = None,
) -> None:
    """Raise RecipeError for what `train` would fail with, now or hours later."""
    check_enough(recipe, photos)
    if start:
        _read_start(start, trainer_class(recipe.generator.architecture))
    if recipe.gan and len(validation) < 2:
        raise RecipeError(
            f"{len(validation)} photo is too few to score with; give 2 or more with --val, or "
            "make the recipe's `validation` larger"
        )
    batches = [(stage, stage.batch) for stage in recipe.generator_stages]
    if recipe.critic:
        # Half of its batch is of each kind.
        batches += [(stage, max(1, stage.batch // 2)) for stage in recipe.critic_stages]
    for stage, photos_per_step in batches:
        parts = context.world * stage.accumulate
        if photos_per_step < parts:
            raise RecipeError(
                f"batch = {stage.batch} cannot be split into {parts} parts (processes times "
                "`accumulate`, from two kinds of pictures for the critic); make it larger"
            )


def check_enough(recipe: Recipe, photos: PhotoSet) -> None:
    """Refuse sets that are smaller than a batch: every step would see the same photos."""
    largest = max(stage.batch for stage in recipe.generator_stages)
    if len(photos) < largest:
        raise RecipeError(
            f"{len(photos)} photos are too few for batches of {largest}; give more, "
            "or make the recipe's batches smaller"
        )


def check_ready(now: Phase, before: list[str], run: Run, *, has_start: bool) -> None:
    """A phase needs those before it, except that a --start stands for all pretraining."""
    for name in before:
        if not run.is_done(name) and not (has_start and name.startswith("pretrain")):
            raise RecipeError(f"{now.name} needs {name}, which {run.folder} has not finished")


def new_generator_trainer(
    recipe: Recipe, photos: PhotoSet, run: Run, path: Path | None
) -> GeneratorTrainer:
    """The recipe's generator as it begins, with the weights of --start, if any."""
    kind = trainer_class(recipe.generator.architecture)
    start = Start(path, _read_start(path, kind)) if path else None
    trainer = kind.begin(
        recipe.generator, recipe.content, run.context, photos=photos, run=run, start=start
    )
    if start:
        _load_start(trainer, start.state, start.path)
    return trainer


def _load_start(trainer: GeneratorTrainer, state: dict[str, Tensor], path: Path) -> None:
    """Load the weights of --start. Raises RecipeError where they are of another network."""
    try:
        trainer.load_weights(state)
    except (RuntimeError, KeyError) as error:
        ours = trainer.network.state_dict()
        what = "its tensors have other names"
        if ours.keys() == state.keys():
            other = next(name for name in ours if ours[name].shape != state[name].shape)
            shapes = [" x ".join(map(str, tensors[other].shape)) for tensors in (state, ours)]
            what = f"{other} is {shapes[0]} there and {shapes[1]} here"
        raise RecipeError(f"{path} does not fit the recipe's network: {what}") from error


def _read_start(path: Path, kind: type[GeneratorTrainer]) -> dict[str, Tensor]:
    """The averaged, or else the latest, generator of a run's checkpoint, or a published one."""
    from vidcolor.weights.checkpoint import load_trainable

    state = None
    if path.suffix == ".pt":
        try:
            state = read_state(path)
        except TrainingError as error:
            raise RecipeError(
                f"{path} is not a checkpoint of a run; give another --start"
            ) from error
        state = state.get("generator", state)
        for name in ("average", "network"):
            if name in state:
                return state[name]
        raise RecipeError(f"{path} holds no generator; give a checkpoint of a run")
    network, metadata = load_trainable(path)
    return kind.start_state(network, metadata, path)


def scorer_of(
    recipe: Recipe,
    validation: PhotoSet,
    context: DistributedContext,
    clips: Clips | None = None,
    stage: Gan | None = None,
) -> Scorer:
    """stage: what it is to score, if anything."""
    size, count = recipe.gan_size, recipe.score_photos
    assert size is not None
    fixed = LiteFeatures(context.device) if stage and stage.features == "fixed" else None
    return Scorer(validation, size=size, count=count, context=context, clips=clips, fixed=fixed)


def export(
    trainer: GeneratorTrainer,
    recipe: Recipe,
    photos: PhotoSet,
    validation: PhotoSet,
    run: Run,
) -> Path | None:
    """Write the newest finished generator, with its provenance, as final.safetensors."""
    every = phases(recipe)
    made_in = load_latest(trainer, every, [phase.name for phase in every], run)
    if made_in is None:
        return None
    trainer.begin_stage(made_in)
    steps = sum(steps_of(stage, len(photos)) for stage in recipe.pretrain)
    steps += sum(gan_steps_of(stage, len(photos)) for stage in recipe.gan) * recipe.cycles
    final = run.folder / "final.safetensors"
    if run.context.rank == 0:
        text = (run.folder / "recipe.toml").read_text(encoding="utf-8")
        provenance = {"recipe": text, "photos": str(len(photos)), "steps": str(steps)}
        with replacing(final) as partial:
            trainer.export(partial, provenance)
        scorer = scorer_of(recipe, validation, run.context) if recipe.gan else None
        if scorer:
            scorer.show(trainer, run.folder / "samples" / "final.png")
    run.context.wait()
    return final
