"""Start the published recipes at their real sizes: `python benchmarks/recipes.py [NAME ...]`.

Two steps of every phase with batches of 1 (a pair of pictures for the critic) and made-up photos;
ResNet and VGG have the published sizes and random weights, so that nothing is downloaded.
Prints each phase's time and its peak of memory.
"""

import dataclasses
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models import vgg16_bn

from vidcolor.nogan import train, unet_trainer
from vidcolor.nogan.distributed import join_processes
from vidcolor.nogan.losses import FeatureLoss
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.plan import Estimate, plan
from vidcolor.nogan.recipe import Recipe, read_recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.settings import Content, Stage

TRAINING = Path(__file__).parents[1] / "training"
NAMES = ("artistic", "stable", "video", "sagan", "pix2pix", "wgan-gp")
CLEAR = Path("/proc/self/clear_refs")
"""Linux forgets a process's peak of memory when 5 is written here."""


def shorten(recipe: Recipe) -> Recipe:
    """Every phase of one cycle, with two steps."""
    assert recipe.critic

    def two(*stages: Stage) -> tuple[Stage, ...]:
        return tuple(dataclasses.replace(stage, steps=2, batch=1) for stage in stages)

    return dataclasses.replace(
        recipe,
        cycles=1,
        score_photos=2,
        checkpoint_every=1000,
        generator=dataclasses.replace(recipe.generator, encoder="random"),
        pretrain=two(*recipe.pretrain),
        images=recipe.images and dataclasses.replace(recipe.images, batch=1, keep=1e-6),
        critic=dataclasses.replace(
            recipe.critic, first=two(*recipe.critic.first), stages=two(*recipe.critic.stages)
        ),
        gan=tuple(
            dataclasses.replace(stage, steps=2, batch=1, threshold=10.0) for stage in recipe.gan
        ),
    )


def untrained_features(content: Content) -> FeatureLoss:
    """In the place of `imagenet.feature_loss`."""
    features = vgg16_bn().features
    assert isinstance(features, nn.Sequential)
    return FeatureLoss(features, content.weights)


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR.exists():
        CLEAR.write_text("5")


def peak(device: torch.device) -> float:
    """GB of the device or of this process, since the last `forget_peak` (on Linux)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    if CLEAR.exists():
        status = CLEAR.with_name("status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    context = join_processes("auto", "auto")
    unet_trainer.feature_loss = untrained_features
    for name in sys.argv[1:] or NAMES:
        file = TRAINING / f"{name}.toml"
        recipe = shorten(read_recipe(file))
        with tempfile.TemporaryDirectory() as folder:
            random = np.random.default_rng(0)
            for number in range(4):
                pixels = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((256, 192)).save(Path(folder) / f"{number}.png")
            photos = load_photos([Path(folder)], smallest=64)
            planned = {row.phase: row for row in plan(recipe, len(photos), context)}
            began: list[tuple[str, float]] = []

            def mark(
                phase: train.Phase,
                name: str = name,
                planned: dict[str, Estimate] = planned,
                began: list[tuple[str, float]] = began,
            ) -> None:
                """Print what the phase before this one took."""
                now, most = time.perf_counter(), peak(context.device)
                if began:
                    row, seconds = planned[began[-1][0]], now - began[-1][1]
                    line = f"{name:9} {row.phase:11} size {row.size:3}  {seconds:6.1f} s"
                    guess = row.memory / 1e9
                    print(f"{line}  peak {most:5.1f} GB (planned {guess:.1f})", flush=True)
                began.append((phase.name, now))
                forget_peak(context.device)

            run = Run.open(Path(folder) / "run", file, context, resume=False)
            train.train(recipe, photos, photos.subset([0, 1]), run, on_phase=mark)
            mark(train.Phase("end", "gan"))
            assert len(began) == len(train.phases(recipe)) + 1


if __name__ == "__main__":
    main()
