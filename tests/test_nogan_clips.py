"""Scores on moments of films: a trainer that flickers costs more than one that does not."""

import itertools
import shutil
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from vidcolor.cli.train import read_clips
from vidcolor.errors import MediaError, RecipeError
from vidcolor.nogan.augment import Sample
from vidcolor.nogan.clips import CLIPS, FRAMES
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.inflection import cost
from vidcolor.nogan.photos import load_photos
from vidcolor.nogan.score import Scorer

SIZE = 48


class Tint:
    """A trainer that gives each frame the next of a row of tints, and learns nothing."""

    def __init__(self, *tints: float) -> None:
        self.tints = itertools.cycle(tints)

    def show(self, sample: Sample) -> torch.Tensor:
        strength = torch.tensor([next(self.tints) for _ in sample.luma])
        color = torch.tensor([1.0, 0.0, -1.0])
        tinted = sample.luma + strength[:, None, None, None] * color[:, None, None]
        return tinted.clamp(0, 1)


@pytest.fixture
def scorer(make_clip, tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(colors).resize((64, 64)).save(tmp_path / "photo.png")
    return Scorer(
        load_photos([tmp_path], smallest=SIZE),
        size=SIZE,
        count=1,
        context=DistributedContext(device=torch.device("cpu"), dtype=torch.float32),
        clips=read_clips((make_clip("bt709.mp4"),), SIZE),
    )


def test_flicker_costs(scorer):
    stable, flickering = (
        scorer.score(cast(GeneratorTrainer, Tint(*tints))) for tints in ((0.1,), (0.05, 0.15))
    )
    assert stable["cdc_gap"] < 0.5 < flickering["cdc_gap"]
    assert cost(flickering, stable) > cost(stable, stable)


def test_frames_of_a_few_films_are_read(make_clip, tmp_path):
    for number in range(CLIPS + 3):
        shutil.copy(make_clip("bt709.mp4"), tmp_path / f"{number}.mp4")
    (tmp_path / "notes.txt").write_text("no film")
    clips = read_clips((tmp_path,), SIZE)
    assert len(clips.frames) == CLIPS
    for clip in clips.frames:
        assert clip.shape[1:] == (3, SIZE, SIZE) and 5 <= len(clip) <= FRAMES
        assert clip[:, 1:].float().std() > 10  # in color


def test_clips_that_cannot_be_scored_with(make_clip, tmp_path):
    with pytest.raises(RecipeError, match="too few frames to score with"):
        read_clips((make_clip("one_frame.mp4"),), SIZE)
    with pytest.raises(MediaError, match="neither a film nor a folder of films"):
        read_clips((tmp_path,), SIZE)
