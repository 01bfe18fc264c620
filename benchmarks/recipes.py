"""Start the published recipes at their real sizes: `python benchmarks/recipes.py [NAME ...]`.

Two steps of every phase with batches of 1 (2 for the critic) and made-up photos; random encoders
and no VGG, so that nothing is downloaded. Prints each phase's time and the peak of memory so far.
"""

import dataclasses
import itertools
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vidcolor.nogan.machine import join_machine
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.plan import plan
from vidcolor.nogan.recipe import Recipe, Stage, read_recipe
from vidcolor.nogan.run import Run
from vidcolor.nogan.train import Phase, phases, train

TRAINING = Path(__file__).parents[1] / "training"
NAMES = ("artistic", "stable", "video")


def shorten(recipe: Recipe) -> Recipe:
    """Every phase of one cycle, with two steps."""
    assert recipe.critic and recipe.gan and recipe.images

    def two(*stages: Stage) -> tuple[Stage, ...]:
        return tuple(dataclasses.replace(stage, steps=2, batch=1) for stage in stages)

    return dataclasses.replace(
        recipe,
        cycles=1,
        scored=2,
        checkpoint_every=1000,
        generator=dataclasses.replace(recipe.generator, encoder="random"),
        content=dataclasses.replace(recipe.content, features="none"),
        pretrain=two(*recipe.pretrain),
        images=dataclasses.replace(recipe.images, batch=1, keep=1e-6),
        critic=dataclasses.replace(
            recipe.critic, first=two(*recipe.critic.first), stages=two(*recipe.critic.stages)
        ),
        gan=dataclasses.replace(recipe.gan, steps=2, batch=1, threshold=10.0),
    )


def peak(device: torch.device) -> float:
    """GB, of the device or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    machine = join_machine("auto", "auto")
    for name in sys.argv[1:] or NAMES:
        file = TRAINING / f"{name}.toml"
        recipe = shorten(read_recipe(file))
        with tempfile.TemporaryDirectory() as folder:
            random = np.random.default_rng(0)
            for number in range(4):
                pixels = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((256, 192)).save(Path(folder) / f"{number}.png")
            photos = load_photos([Path(folder)], smallest=64)
            estimates = {row.phase: row for row in plan(recipe, len(photos), machine)}
            marks: list[tuple[str, float, float]] = []

            def mark(phase: Phase, marks: list[tuple[str, float, float]] = marks) -> None:
                marks.append((phase.name, time.perf_counter(), peak(machine.device)))

            run = Run.open(Path(folder) / "run", file, machine, resume=False)
            train(recipe, photos, photos.subset([0, 1]), run, on_phase=mark)
            mark(Phase("end", "gan"))
            for (phase, start, _), (_, end, most) in itertools.pairwise(marks):
                guess = estimates[phase].memory / 1e9
                line = f"{name:9} {phase:11} size {estimates[phase].size:3}  {end - start:6.1f} s"
                print(f"{line}  peak {most:5.1f} GB (planned {guess:.1f})", flush=True)
            assert len(marks) == len(phases(recipe)) + 1


if __name__ == "__main__":
    main()
