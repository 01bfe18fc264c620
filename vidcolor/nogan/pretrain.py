"""First phase: the generator alone learns from photos."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vidcolor.nogan.augment import augment
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.optimizer_loop import OptimizerLoop, progress
from vidcolor.nogan.photos import Batches, PhotoSet
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.seeding import StepKey, torch_random
from vidcolor.nogan.settings import Gan, Stage
from vidcolor.nogan.validation import Validation

OnStep = Callable[[int, int, dict[str, float], int], None]
"""Called with (steps done, steps in all, losses, photos in this step)."""


def steps_of(stage: Stage, photos: int) -> int:
    """How many steps a stage takes with so many photos."""
    return stage.steps or max(1, round(stage.epochs * stage.keep * photos / stage.batch))


def gan_steps_of(stage: Gan, photos: int) -> int:
    """The same of a GAN stage; where the critic takes several batches, an epoch has less steps."""
    batches = stage.critic_steps if stage.rhythm == "steps" else 1
    return stage.steps or max(1, round(steps_of(stage, photos) / batches))


def batches_of(stage: Stage, photos: PhotoSet, recipe: Recipe, phase: str) -> Batches:
    """The photos of a phase, batch by batch; their order follows from the seed and the phase."""
    return Batches(
        photos,
        size=stage.size,
        batch=stage.batch,
        zoom=(stage.augment or recipe.augment).zoom,
        seed=recipe.seed,
        name=phase,
    )


def pretrain(
    trainer: GeneratorTrainer,
    stage: Stage,
    photos: PhotoSet,
    *,
    recipe: Recipe,
    run: Run,
    phase: str,
    on_step: OnStep,
    validation: Validation | None = None,
) -> None:
    """Train one stage; what the run holds of it already is not done again."""
    trainer.begin_stage(stage)
    optimizer = OptimizerLoop(trainer.parameter_groups(stage.rates), stage, run.context)
    parts = {"generator": trainer, "optimizer": optimizer}
    steps, first = steps_of(stage, len(photos)), run.restore(phase, parts).get("step", 0)
    batches = batches_of(stage, photos, recipe, phase)
    device, augmentation = run.context.device, stage.augment or recipe.augment
    if not stage.score_every or run.context.rank:
        validation = None

    for step in range(first, steps):
        trainer.train_mode()

        def loss_of(part: int, parts: int, step: int = step) -> Tensor:
            random = torch_random(device, recipe.seed, phase, step, part)
            sample = augment(batches.share(step, part, parts).to(device), augmentation, random)
            answer = trainer.generate(sample.input, hints=trainer.hints(sample, random))
            return trainer.loss(answer, sample)

        key = StepKey(recipe.seed, phase, step)
        loss = optimizer.step(loss_of, key, progress(stage, step, steps))
        trainer.update_ema()
        run.log(phase, step + 1, loss=loss)
        on_step(step + 1, steps, {"loss": loss}, stage.batch)
        if validation is not None and (step + 1) % stage.score_every == 0:
            run.log(phase, step + 1, **validation.score(trainer))
        if (step + 1) % recipe.checkpoint_every == 0:
            trainer.sync_buffers()
            run.save(phase, parts, step=step + 1)
    batches.close()
    trainer.sync_buffers()
    run.finish(phase, {"generator": trainer.state_dict()})
