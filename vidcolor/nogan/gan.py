"""Third phase: generator and critic in turn, until the scores get worse or the steps are taken."""

from __future__ import annotations

import copy
from typing import Any

from vidcolor.errors import TrainingError
from vidcolor.models.critic import CriticNetwork
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.inflection import best_of, has_turned
from vidcolor.nogan.optimizer_loop import progress
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.pretrain import OnStep, batches_of, gan_steps_of
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.score import Scorer
from vidcolor.nogan.settings import Gan
from vidcolor.nogan.turns import RHYTHMS, Turns


def gan(
    trainer: GeneratorTrainer,
    critic: CriticNetwork,
    photos: PhotoSet,
    scorer: Scorer,
    *,
    recipe: Recipe,
    stage: Gan,
    run: Run,
    phase: str,
    on_step: OnStep,
) -> None:
    """Train both networks in one stage; the run gets those of the best score (see `inflection`),
    or the last ones, as the stage says."""
    trainer.begin_stage(stage)
    trainer.use_critic_features(critic)
    scorer.begin(critic, trainer)
    batches = batches_of(stage, photos, recipe, phase)
    turns = Turns(trainer, critic, batches, recipe=recipe, stage=stage, run=run, phase=phase)
    rhythm = RHYTHMS[stage.rhythm](turns)
    parts = {
        "generator": trainer,
        "critic": critic,
        "generator_optimizer": turns.generator_optimizer,
        "critic_optimizer": turns.critic_optimizer,
    }
    saved = run.restore(phase, parts)
    rhythm.load_state_dict(saved)
    first = saved.get("step", 0)
    scores: list[dict[str, float]] = saved.get("scores", [])
    best: dict[str, Any] = saved.get("best", {})
    steps = gan_steps_of(stage, len(photos))
    chooses = stage.choose == "best"

    def sync() -> None:
        trainer.sync_buffers()
        run.context.average(running_statistics(critic))

    def score(step: int) -> None:
        nonlocal best
        sync()
        values = {"generator_steps": rhythm.generator_steps, **scorer.score(trainer)}
        scores.append({"step": step, **values})
        run.log(phase, step, **values)
        if chooses and best_of(scores) == len(scores) - 1:
            # Copies, since training changes the tensors in place.
            states = {"generator": trainer.state_dict(), "critic": critic.state_dict()}
            best = copy.deepcopy(states)
        scorer.draw(trainer, scores, run, phase)

    if not scores:
        score(0)
    for step in range(first, steps):
        if chooses and has_turned(scores, stage.patience):
            break
        losses = rhythm.step(step, progress(stage, step, steps))
        run.log(phase, step + 1, **losses)
        on_step(step + 1, steps, losses, stage.batch * rhythm.batches)
        if (step + 1) % stage.score_every == 0 or step + 1 == steps:
            score(step + 1)
        if (step + 1) % recipe.checkpoint_every == 0:
            sync()
            others = {"step": step + 1, "scores": scores, "best": best}
            run.save(phase, parts, **others, **rhythm.state_dict())
    batches.close()
    critic.requires_grad_(True)
    sync()
    if not chooses:
        best = {"generator": trainer.state_dict(), "critic": critic.state_dict()}
    if not best:
        raise TrainingError(
            f"the generator that {phase} begins with gives colors that are not finite; train it "
            "again, or give another one to --start"
        )
    trainer.load_state_dict(best["generator"])
    critic.load_state_dict(best["critic"])
    scorer.show(trainer, run.folder / "samples" / f"{phase}-chosen.png")
    run.finish(phase, {**best, "scores": scores})


def running_statistics(critic: CriticNetwork) -> list[Any]:
    """Those of batch norms, which each process takes of its own part of a batch."""
    return [
        buffer
        for name, buffer in critic.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    ]
