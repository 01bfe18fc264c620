"""Second phase: generated pictures, and a critic trained to distinguish them from photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vidcolor.models.critic import CriticNetwork
from vidcolor.nogan import settings
from vidcolor.nogan.adversarial import LOSSES
from vidcolor.nogan.augment import augment, plain
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.optimizer_loop import OptimizerLoop, progress
from vidcolor.nogan.photos import Batches, PhotoSet, center, load_photos
from vidcolor.nogan.pretrain import OnStep, steps_of
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.registry import critic_kind
from vidcolor.nogan.run import Run
from vidcolor.nogan.seeding import StepKey, numpy_random, torch_random
from vidcolor.nogan.settings import Stage

SIDES = ("generated", "real")


def new_critic(table: settings.Critic, context: DistributedContext) -> CriticNetwork:
    """An untrained critic, with its norms."""
    kind = critic_kind(table.architecture)
    critic = kind.build(table)
    kind.prepare(critic, table)
    return critic.to(context.device).to(memory_format=torch.channels_last)


def generate_images(
    trainer: GeneratorTrainer,
    photos: PhotoSet,
    folder: Path,
    *,
    recipe: Recipe,
    run: Run,
    phase: str,
    on_step: OnStep,
) -> None:
    """Fill `folder` with pairs of PNGs: real/N.png, made from the photo, and generated/N.png.

    Pairs that are there already are left as they are, so that a stopped run continues.
    """
    assert recipe.images is not None
    table, context = recipe.images, run.context
    count = max(2, round(table.keep * len(photos)))
    chosen = numpy_random(recipe.seed, phase).permutation(len(photos))[:count]
    for side in SIDES:
        (folder / side).mkdir(parents=True, exist_ok=True)
    for start in range(table.batch * context.rank, count, table.batch * context.world):
        numbers = range(start, min(count, start + table.batch))
        paths = [[folder / side / f"{n:07}.png" for side in SIDES] for n in numbers]
        if not all(path.exists() for pair in paths for path in pair):
            crops = np.stack([center(photos[int(chosen[n])], table.size) for n in numbers])
            sample = plain(torch.from_numpy(crops).permute(0, 3, 1, 2).to(context.device))
            pictures = trainer.show(sample), trainer.photo_rgb(sample)
            for pair, *both in zip(paths, *pictures, strict=True):
                for path, picture in zip(pair, both, strict=True):
                    _write_png(path, picture)
        on_step(numbers.stop, count, {}, len(numbers))
    context.wait()
    run.finish(phase, {})


def train_critic(
    trainer: GeneratorTrainer,
    critic: CriticNetwork,
    stage: Stage,
    folder: Path,
    *,
    recipe: Recipe,
    run: Run,
    phase: str,
    on_step: OnStep,
) -> None:
    """Train one stage on the pairs of `generate_images`; half of each batch is real."""
    assert recipe.critic is not None
    augmentation, context = recipe.critic.augment, run.context
    loss = LOSSES[recipe.gan[0].loss].critic
    sides = [
        load_photos([folder / side], smallest=1, gray_too=True, context=context) for side in SIDES
    ]
    optimizer = OptimizerLoop([(stage.rates[-1], list(critic.parameters()))], stage, context)
    parts = {"critic": critic, "optimizer": optimizer}
    first = run.restore(phase, parts).get("step", 0)
    steps = steps_of(stage, sum(map(len, sides)))
    batches = [
        Batches(
            photos,
            size=stage.size,
            batch=max(1, stage.batch // 2),
            zoom=augmentation.zoom,
            seed=recipe.seed,
            name=f"{phase} {side}",
        )
        for side, photos in zip(SIDES, sides, strict=True)
    ]

    for step in range(first, steps):
        critic.train()

        def loss_of(part: int, parts: int, step: int = step) -> Tensor:
            logits = []
            for side, source in zip(SIDES, batches, strict=True):
                random = torch_random(context.device, recipe.seed, phase, side, step, part)
                crops = source.share(step, part, parts).to(context.device)
                sample = augment(crops, augmentation, random)
                logits.append(critic_logits(critic, trainer.critic_input(sample.rgb()), context))
            generated, real = logits
            return loss(generated, real, 1.0)

        key = StepKey(recipe.seed, phase, step)
        value = optimizer.step(loss_of, key, progress(stage, step, steps))
        run.log(phase, step + 1, loss=value)
        on_step(step + 1, steps, {"critic": value}, stage.batch)
        if (step + 1) % recipe.checkpoint_every == 0:
            run.save(phase, parts, step=step + 1)
    for source in batches:
        source.close()
    run.finish(phase, {"critic": critic.state_dict()})


def critic_logits(
    critic: Callable[[Tensor], Tensor], picture: Tensor, context: DistributedContext
) -> Tensor:
    """The critic's logits for normalized RGB."""
    with context.autocast():
        return critic(picture.contiguous(memory_format=torch.channels_last)).float()


def _write_png(path: Path, picture: Tensor) -> None:
    pixels = (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    partial = path.with_suffix(".tmp")
    Image.fromarray(pixels).save(partial, "png", compress_level=1)
    partial.replace(path)
