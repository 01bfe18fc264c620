"""One network's optimizer: a schedule of rates, and steps over the parts of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vidcolor.errors import TrainingError
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.seeding import StepKey, seed_of
from vidcolor.nogan.settings import Stage


class OptimizerLoop:
    """AdamW on groups of parameters, each with its highest learning rate."""

    def __init__(
        self,
        groups: list[tuple[float, list[nn.Parameter]]],
        stage: Stage,
        context: DistributedContext,
    ) -> None:
        self.stage, self.context = stage, context
        self.parameters = [p for _, group in groups for p in group]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": chosen, "top": rate, "weight_decay": decay}
                for rate, group in groups
                for chosen, decay in _by_decay(group, stage)
            ],
            betas=stage.betas,
        )
        self.scaler = torch.amp.GradScaler(
            context.device.type, enabled=context.dtype == torch.float16
        )

    def step(
        self,
        loss_of: Callable[[int, int], Tensor],
        key: StepKey,
        progress: Progress,
    ) -> float:
        """Update the parameters with the mean gradient of a batch's parts; returns the mean loss.

        loss_of(part, parts) gives the loss of one part. Every process of the training takes
        `accumulate` parts. `key` seeds what is random in the networks.
        Raises TrainingError, with the parameters as they were, if the loss is not finite or, where
        no loss scaler skips such steps, a gradient is not.
        """
        context, accumulate = self.context, self.stage.accumulate
        parts = context.world * accumulate
        rate, momentum = progress
        for group in self.optimizer.param_groups:
            group["lr"] = group["top"] * rate
            if self.stage.schedule == "one-cycle":
                group["betas"] = (momentum, group["betas"][1])
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=context.device)
        for number in range(accumulate):
            part = context.rank * accumulate + number
            torch.manual_seed(seed_of(*key, part))
            loss = loss_of(part, parts) / accumulate
            self.scaler.scale(loss).backward()
            total += loss.detach()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        context.average([total, *gradients])
        loss = total.item()
        if not math.isfinite(loss):
            raise _not_finite(f"the loss is {loss}", key)
        norms = torch.stack([gradient.norm() for gradient in gradients])
        if not self.scaler.is_enabled() and not norms.isfinite().all():
            raise _not_finite("a gradient is not finite", key)
        if self.stage.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.stage.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def _not_finite(what: str, key: StepKey) -> TrainingError:
    return TrainingError(
        f"{what} at step {key.step + 1} of {key.phase}, and nothing was changed; go on from the "
        "last checkpoint with --resume --precision fp32, or start a run with lower rates"
    )


Progress = tuple[float, float]
"""Share of the highest rate, and momentum (of one-cycle)."""


def progress(stage: Stage, step: int, steps: int) -> Progress:
    """Where the schedule stands at a step."""
    if stage.schedule == "one-cycle":
        return _one_cycle(stage, step, steps)
    warm = min(1.0, (step + 1) / (stage.warmup * steps + 1))
    start = steps * (1 - stage.decay)
    fallen = min(1.0, max(0.0, (step - start) / max(1.0, steps - start)))
    return warm * _cosine(1, 0, fallen), stage.betas[0]


def _one_cycle(stage: Stage, step: int, steps: int) -> Progress:
    """Smith's one-cycle policy as fastai has it: 1/25 up to 1, down to 1/250,000."""
    rise = max(1, int(steps * stage.warmup))
    if step < rise:
        part = step / rise
        return _cosine(1 / 25, 1, part), _cosine(0.95, 0.85, part)
    part = (step - rise) / max(1, steps - rise - 1)
    return _cosine(1, 1 / 250_000, part), _cosine(0.85, 0.95, part)


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def _by_decay(group: list[nn.Parameter], stage: Stage) -> list[tuple[list[nn.Parameter], float]]:
    """Matrices decay; biases and norms only where the stage says so."""
    if stage.decay_vectors:
        return [(group, stage.weight_decay)]
    return [
        ([p for p in group if p.ndim > 1], stage.weight_decay),
        ([p for p in group if p.ndim <= 1], 0.0),
    ]
