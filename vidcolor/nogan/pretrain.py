"""First phase: the generator alone learns from photos."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vidcolor.nogan.augment import augment
from vidcolor.nogan.chance import torch_random
from vidcolor.nogan.descent import Descent, progress
from vidcolor.nogan.painter import Painter
from vidcolor.nogan.photos import Batches, Photos
from vidcolor.nogan.recipe import Recipe, Stage
from vidcolor.nogan.run import Run

OnStep = Callable[[int, int, dict[str, float], int], None]
"""Called with (steps done, steps in all, losses, photos in this step)."""


def steps_of(stage: Stage, photos: int) -> int:
    """How many steps a stage takes with so many photos."""
    return stage.steps or max(1, round(stage.epochs * stage.keep * photos / stage.batch))


def batches_of(stage: Stage, photos: Photos, recipe: Recipe, phase: str) -> Batches:
    """The photos of a phase, batch by batch; their order follows from the seed and the phase."""
    return Batches(
        photos,
        size=stage.size,
        batch=stage.batch,
        zoom=recipe.augment.zoom,
        seed=recipe.seed,
        name=phase,
    )


def pretrain(
    painter: Painter,
    stage: Stage,
    photos: Photos,
    *,
    recipe: Recipe,
    run: Run,
    phase: str,
    on_step: OnStep,
) -> None:
    """Train one stage; what the run holds of it already is not done again."""
    painter.begin(stage)
    descent = Descent(painter.groups(stage.rates), stage, run.machine)
    parts = {"painter": painter, "descent": descent}
    steps, first = steps_of(stage, len(photos)), run.restore(phase, parts).get("step", 0)
    batches = batches_of(stage, photos, recipe, phase)
    device = run.machine.device

    for step in range(first, steps):
        painter.network.train()

        def loss_of(part: int, parts: int, step: int = step) -> Tensor:
            random = torch_random(device, recipe.seed, phase, step, part)
            sample = augment(batches.share(step, part, parts).to(device), recipe.augment, random)
            return painter.loss(painter.paint(sample.seen), sample)

        place = (recipe.seed, phase, step)
        loss = descent.step(loss_of, place, progress(stage, step, steps))
        painter.follow(step)
        run.log(phase, step + 1, loss=loss)
        on_step(step + 1, steps, {"loss": loss}, stage.batch)
        if (step + 1) % recipe.checkpoint_every == 0:
            painter.agree()
            run.save(phase, parts, step=step + 1)
    batches.close()
    painter.agree()
    run.finish(phase, {"painter": painter.state_dict()})
