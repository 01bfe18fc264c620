"""Turns of critic and generator in a GAN phase, and the rhythms in which they follow each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from vidcolor.models.critic import CriticNetwork
from vidcolor.nogan.adversarial import LOSSES, gradient_penalty
from vidcolor.nogan.augment import Sample, augment
from vidcolor.nogan.critic_phase import critic_logits
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.optimizer_loop import OptimizerLoop, Progress
from vidcolor.nogan.photos import Batches
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.seeding import StepKey, torch_random
from vidcolor.nogan.settings import Gan


class Turns:
    """Both networks of a GAN phase with their optimizers."""

    def __init__(
        self,
        trainer: GeneratorTrainer,
        critic: CriticNetwork,
        batches: Batches,
        *,
        recipe: Recipe,
        stage: Gan,
        run: Run,
        phase: str,
    ) -> None:
        self.trainer, self.critic, self.batches = trainer, critic, batches
        self.recipe, self.stage, self.phase, self.context = recipe, stage, phase, run.context
        self.loss = LOSSES[stage.loss]
        self.augment = stage.augment or recipe.augment
        groups = trainer.parameter_groups(stage.rates)
        self.generator_optimizer = OptimizerLoop(groups, stage, run.context)
        rate = stage.rates[-1] * stage.critic_rate
        self.critic_optimizer = OptimizerLoop(
            [(rate, list(critic.parameters()))], stage, run.context
        )
        self._drawn: tuple[int, dict[int, Tensor]] = (-1, {})

    def train_critic(self, batch: int, key: StepKey, now: Progress) -> float:
        """One step of the critic on the batch of that number; returns its loss."""
        self.critic.requires_grad_(True)

        def loss_of(part: int, parts: int) -> Tensor:
            sample = self._sample(batch, part, parts)
            with torch.no_grad():
                ours = self.trainer.picture(self.trainer.generate(sample.input), sample)
            photo = self.trainer.photo(sample)
            loss = self.loss.critic(self._logits(ours), self._logits(photo), self.stage.real_label)
            if self.stage.penalty:
                random = self._random("penalty", batch, part)
                penalty = gradient_penalty(self.critic, ours, photo, random)
                loss = loss + self.stage.penalty * penalty
            return loss

        return self.critic_optimizer.step(loss_of, key, now)

    def train_generator(self, batch: int, key: StepKey, now: Progress) -> float:
        """One step of the generator on the batch of that number; returns its loss."""
        self.critic.requires_grad_(False)
        stage = self.stage

        def loss_of(part: int, parts: int) -> Tensor:
            sample = self._sample(batch, part, parts)
            answer = self.trainer.generate(sample.input)
            logits = self._logits(self.trainer.picture(answer, sample))
            content = stage.content * self.trainer.loss(answer, sample) if stage.content else 0.0
            return stage.adversarial * self.loss.generator(logits) + content

        loss = self.generator_optimizer.step(loss_of, key, now)
        self.trainer.update_ema()
        return loss

    def _logits(self, picture: Tensor) -> Tensor:
        return critic_logits(self.critic, picture, self.context)

    def _sample(self, batch: int, part: int, parts: int) -> Sample:
        if self._drawn[0] != batch:
            self._drawn = (batch, {})
        drawn = self._drawn[1]
        if part not in drawn:
            drawn[part] = self.batches.share(batch, part, parts)
        crops = drawn[part].to(self.context.device)
        return augment(crops, self.augment, self._random(batch, part))

    def _random(self, *key: int | str) -> torch.Generator:
        return torch_random(self.context.device, self.recipe.seed, self.phase, *key)


class Rhythm(ABC):
    """Which of the networks is trained when."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.stage = turns, turns.stage
        self.generator_steps = 0

    @abstractmethod
    def step(self, step: int, now: Progress) -> dict[str, float]:
        """Take one step; returns the losses by the networks' names."""

    @property
    def batches(self) -> int:
        """How many batches of photos a step takes."""
        return 1

    def state_dict(self) -> dict[str, Any]:
        return {"generator_steps": self.generator_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator_steps = state.get("generator_steps", 0)

    def _key(self, step: int, *network: str) -> StepKey:
        turns = self.turns
        return StepKey(turns.recipe.seed, " ".join([turns.phase, *network]), step)


class Threshold(Rhythm):
    """NoGAN's: the generator is trained once after each critic step of a loss below a threshold.

    The network that is not trained is in eval mode.
    """

    turn = "critic"

    def step(self, step: int, now: Progress) -> dict[str, float]:
        turns, critics = self.turns, self.turn == "critic"
        turns.critic.train(critics)
        if critics:
            turns.trainer.network.eval()
            loss = turns.train_critic(step, self._key(step), now)
            self.turn = "generator" if loss < self.stage.threshold else "critic"
            return {"critic": loss}
        turns.trainer.train_mode()
        loss = turns.train_generator(step, self._key(step), now)
        self.turn, self.generator_steps = "critic", self.generator_steps + 1
        return {"generator": loss}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"turn": self.turn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.turn = state.get("turn", "critic")


class FixedSteps(Rhythm):
    """Every step is so many steps of the critic, each on a batch of its own, and one of the
    generator on the last of these batches. Both networks are always in train mode."""

    @property
    def batches(self) -> int:
        return self.stage.critic_steps

    def step(self, step: int, now: Progress) -> dict[str, float]:
        self.turns.critic.train()
        self.turns.trainer.train_mode()
        losses, batch = [], 0
        for number in range(self.batches):
            batch = step * self.batches + number
            losses.append(self.turns.train_critic(batch, self._key(batch, "critic"), now))
        generator = self.turns.train_generator(batch, self._key(step), now)
        self.generator_steps += 1
        return {"critic": sum(losses) / len(losses), "generator": generator}


RHYTHMS: dict[str, type[Rhythm]] = {"threshold": Threshold, "steps": FixedSteps}
"""By the names that recipes use."""
