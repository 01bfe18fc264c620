"""Third phase: generator and critic in turn, until the scores get worse."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from vidcolor.errors import TrainingError
from vidcolor.models.critic import Critic
from vidcolor.nogan.augment import Sample, augment
from vidcolor.nogan.critic_phase import critic_logits, critic_loss
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.inflection import best_of, has_turned
from vidcolor.nogan.losses import adversarial_loss
from vidcolor.nogan.norms import fold
from vidcolor.nogan.optimizer_loop import OptimizerLoop, progress
from vidcolor.nogan.photos import PhotoSet
from vidcolor.nogan.pretrain import OnStep, batches_of, steps_of
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.score import Scorer
from vidcolor.nogan.seeding import StepKey, torch_random


def gan(
    trainer: GeneratorTrainer,
    critic: Critic,
    photos: PhotoSet,
    scorer: Scorer,
    *,
    recipe: Recipe,
    run: Run,
    phase: str,
    on_step: OnStep,
) -> None:
    """Train both networks; the run gets those of the best score (see `inflection`)."""
    assert recipe.gan is not None
    stage, context = recipe.gan, run.context
    device = context.device
    trainer.begin_stage(stage)
    trainer.use_critic_features(fold(critic))
    scorer.begin(critic, trainer)
    generator_optimizer = OptimizerLoop(trainer.parameter_groups(stage.rates), stage, context)
    rate = stage.rates[-1] * stage.critic_rate
    critic_optimizer = OptimizerLoop([(rate, list(critic.parameters()))], stage, context)
    parts = {
        "generator": trainer,
        "critic": critic,
        "generator_optimizer": generator_optimizer,
        "critic_optimizer": critic_optimizer,
    }
    saved = run.restore(phase, parts)
    first, turn = saved.get("step", 0), saved.get("turn", "critic")
    scores: list[dict[str, float]] = saved.get("scores", [])
    best: dict[str, Any] = saved.get("best", {})
    generator_steps = saved.get("generator_steps", 0)
    steps = steps_of(stage, len(photos))
    batches = batches_of(stage, photos, recipe, phase)

    def score(step: int) -> None:
        nonlocal best
        trainer.sync_buffers()
        values = {"generator_steps": generator_steps, **scorer.score(trainer)}
        scores.append({"step": step, **values})
        run.log(phase, step, **values)
        if best_of(scores) == len(scores) - 1:
            # Copies, since training changes the tensors in place.
            states = {"generator": trainer.state_dict(), "critic": critic.state_dict()}
            best = copy.deepcopy(states)
        scorer.draw(trainer, scores, run.folder, phase)

    if not scores:
        score(0)
    for step in range(first, steps):
        if has_turned(scores, stage.patience):
            break
        critics = turn == "critic"
        critic.train(critics).requires_grad_(critics)
        trainer.network.train(not critics)

        def sample_of(part: int, parts: int, step: int = step) -> Sample:
            random = torch_random(device, recipe.seed, phase, step, part)
            return augment(batches.share(step, part, parts).to(device), recipe.augment, random)

        def critic_step(part: int, parts: int) -> Tensor:
            sample = sample_of(part, parts)
            with torch.no_grad():
                ours = trainer.picture(trainer.generate(sample.input), sample)
            photo = trainer.photo(sample)
            return critic_loss(
                critic_logits(critic, ours, context), critic_logits(critic, photo, context)
            )

        def generator_step(part: int, parts: int) -> Tensor:
            sample = sample_of(part, parts)
            answer = trainer.generate(sample.input)
            logits = critic_logits(critic, trainer.picture(answer, sample), context)
            return stage.adversarial * adversarial_loss(
                logits, real=True
            ) + stage.content * trainer.loss(answer, sample)

        key, now = StepKey(recipe.seed, phase, step), progress(stage, step, steps)
        if critics:
            loss = critic_optimizer.step(critic_step, key, now)
            turn = "generator" if loss < stage.threshold else "critic"
            losses = {"critic": loss}
        else:
            losses = {"generator": generator_optimizer.step(generator_step, key, now)}
            trainer.update_ema()
            turn, generator_steps = "critic", generator_steps + 1
        run.log(phase, step + 1, **losses)
        on_step(step + 1, steps, losses, stage.batch)
        if (step + 1) % stage.score_every == 0 or step + 1 == steps:
            score(step + 1)
        if (step + 1) % recipe.checkpoint_every == 0:
            trainer.sync_buffers()
            run.save(
                phase,
                parts,
                step=step + 1,
                turn=turn,
                generator_steps=generator_steps,
                scores=scores,
                best=best,
            )
    batches.close()
    critic.requires_grad_(True)
    if not best:
        raise TrainingError(
            f"the generator that {phase} begins with gives colors that are not finite; train it "
            "again, or give another one to --start"
        )
    trainer.load_state_dict(best["generator"])
    critic.load_state_dict(best["critic"])
    scorer.show(trainer, run.folder / "samples" / f"{phase}-chosen.png")
    run.finish(phase, {**best, "scores": scores})
