"""What a recipe will take: steps, memory and time, estimated without training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.pretrain import gan_steps_of, steps_of
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.registry import critic_kind, trainer_class
from vidcolor.nogan.settings import Gan
from vidcolor.nogan.train import Phase, phases


@dataclass(frozen=True)
class Cost:
    """Of one picture's forward pass through a network."""

    flops: float
    activations: int
    """Bytes that are kept for the backward pass."""
    weights: int
    """Bytes of its parameters."""


LEARNING = 6
"""Copies of its parameters that a network in training needs: the parameters, normalized ones, their
gradients, Adam's two moments and its intermediate results."""


@dataclass(frozen=True)
class Estimate:
    """Of one phase."""

    phase: str
    steps: int
    size: int
    batch: int
    memory: int
    """Bytes on one device, at the peak."""
    seconds: float


def plan(recipe: Recipe, photos: int, context: DistributedContext) -> list[Estimate]:
    """One estimate per phase; features and the loading of photos are not counted."""
    speed = measure_speed(context)
    networks = new_networks(recipe)

    @cache
    def costs(size: int) -> list[Cost]:
        return [cost_of(*network, size, context) for network in networks]

    return [_estimate(phase, recipe, photos, context, speed, costs) for phase in phases(recipe)]


def _estimate(
    phase: Phase,
    recipe: Recipe,
    photos: int,
    context: DistributedContext,
    speed: float,
    costs: Callable[[int], list[Cost]],
) -> Estimate:
    stage = phase.stage or recipe.images
    assert stage is not None
    generator, critic = (costs(stage.size) * 2)[:2]
    both = sum(cost.weights for cost in costs(stage.size))
    if phase.kind == "images":
        assert recipe.images is not None
        steps = max(1, round(recipe.images.keep * photos / stage.batch))
        seconds = steps * stage.batch * generator.flops / speed
        return Estimate(phase.name, steps, stage.size, stage.batch, both, seconds)
    assert phase.stage is not None
    pictures = photos
    if phase.kind == "critic":
        assert recipe.images is not None
        pictures = 2 * max(2, round(recipe.images.keep * photos))
    steps = steps_of(phase.stage, pictures)
    share = -(-stage.batch // (context.world * phase.stage.accumulate))
    # A backward pass costs twice a forward pass.
    if phase.kind == "pretrain":
        flops, learning, kept = 3 * generator.flops, generator.weights, generator.activations
    elif phase.kind == "critic":
        flops, learning, kept = 3 * critic.flops, critic.weights, critic.activations
    else:
        assert isinstance(phase.stage, Gan)
        steps = gan_steps_of(phase.stage, pictures)
        # The critic takes two pictures per photo; a penalty takes a third one, twice.
        penalty = 6 * critic.flops if phase.stage.penalty else 0
        critics = generator.flops + 6 * critic.flops + penalty
        generators = 3 * generator.flops + 3 * critic.flops
        if phase.stage.rhythm == "steps":
            flops = phase.stage.critic_steps * critics + generators
        else:
            flops = (critics + generators) / 2  # half of the steps, at least, are the critic's
        learning, kept = both, generator.activations + 2 * critic.activations
    memory = both + (LEARNING - 1) * learning + share * kept
    seconds = steps * stage.batch * flops / speed / context.world
    return Estimate(phase.name, steps, stage.size, stage.batch, memory, seconds)


Forward = Callable[[Tensor], Tensor]
"""(B, channels, n, n) -> a network's output."""


def new_networks(recipe: Recipe) -> list[tuple[nn.Module, Forward, int]]:
    """Generator and critic on the meta device, how to run each, and their input's channels."""
    kind, settings = trainer_class(recipe.generator.architecture), recipe.generator
    with torch.device("meta"):
        generator = kind.new_network(settings)
        found: list[tuple[nn.Module, Forward, int]] = [
            (generator, partial(kind.run_network, generator), 1)
        ]
        if recipe.critic:
            critic = critic_kind(recipe.critic.architecture).build(recipe.critic)
            found.append((critic, critic, 3))
    return found


def cost_of(
    network: nn.Module, forward: Forward, channels: int, size: int, context: DistributedContext
) -> Cost:
    """Follow one picture through a network on the meta device, which computes nothing."""
    kept: dict[int, int] = {}

    def remember(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            kept[id(tensor)] = tensor.numel() * context.dtype.itemsize
        return tensor

    picture = torch.empty(2, channels, size, size, device="meta")
    with (
        FlopCounterMode(display=False) as counter,
        torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor),
    ):
        answer = forward(picture)
    del answer
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    return Cost(counter.get_total_flops() / 2, sum(kept.values()) // 2, weights)


def measure_speed(context: DistributedContext) -> float:
    """Floating-point operations per second of a typical convolution here."""
    x = torch.randn(8, 64, 64, 64, device=context.device).to(memory_format=torch.channels_last)
    kernel = torch.randn(64, 64, 3, 3, device=context.device)
    best = float("inf")
    with context.autocast():
        for _ in range(5):
            started = time.perf_counter()
            F.conv2d(x, kernel, padding=1).sum().item()
            best = min(best, time.perf_counter() - started)
    return 2 * 9 * 64 * x.numel() / best
