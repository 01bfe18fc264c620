"""Motion between frames, as a CPU and a GPU find it, and where a GPU does its work."""

import cv2
import numpy as np
import pytest
import torch
from test_temporal_filter import HEIGHT, WIDTH, flickering, moving_square
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from vidcolor.chroma.temporal.backend import Backend, backend_for
from vidcolor.chroma.temporal.filter import SmallFrame, TemporalFilter
from vidcolor.chroma.temporal.gpu import Gpu
from vidcolor.chroma.temporal.motion import Link, Tracker
from vidcolor.chroma.temporal.opencv import OpenCV
from vidcolor.chroma.temporal.settings import SmoothSettings


def scene(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(height, width) uint8 with things of all sizes, as pictures of the world have."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width), np.float32)
    for size in (2, 5, 12, 30):
        noise = random.normal(0, size, (height, width)).astype(np.float32)
        picture += cv2.GaussianBlur(noise, (0, 0), size)
    return cv2.normalize(picture, np.empty(0), 20, 235, cv2.NORM_MINMAX).astype(np.uint8)


def window(picture: np.ndarray, across: int, down: int) -> np.ndarray:
    """What a camera sees that has gone so far."""
    return picture[24 + down : 24 + down + HEIGHT, 24 + across : 24 + across + WIDTH]


def links(backend: Backend, *frames: np.ndarray) -> list[Link]:
    return Tracker(backend).links(backend.planes(torch.from_numpy(np.stack(frames)[:, None])))


def moved(backend: Backend, link: Link) -> Tensor:
    """(2, h, w): where from the things in the later frame came, in pixels."""
    places = backend.tensor(link.forward.places)
    return (places - backend.tensor(backend.pixels(places)))[0]


@pytest.mark.parametrize("across, down", [(0, 0), (1, 0), (3, -2), (-9, 6), (12, -9)])
def test_a_moved_camera_is_followed(backend: Backend, across: int, down: int):
    world = scene(5, HEIGHT + 48, WIDTH + 48)
    (link,) = links(backend, window(world, 0, 0), window(world, across, down))
    found = moved(backend, link)[:, 20:-20, 24:-24]
    wanted = torch.tensor([across, down], dtype=torch.float32)[:, None, None]
    far = (found - wanted).norm(dim=0)
    assert far.median() < 0.2
    assert (far > 1).float().mean() < 0.05
    assert link.explained > 0.6


def test_a_lamp_that_flickers_is_no_motion(backend: Backend):
    picture = scene(5)
    (link,) = links(backend, picture, (picture * 0.9 + 20).astype(np.uint8))
    assert moved(backend, link).norm(dim=0).quantile(0.95) < 0.3
    assert link.explained > 0.9


@pytest.mark.parametrize("dark", [1, 0.2, 0.06])
def test_other_pictures_explain_nothing_by_night_either(backend: Backend, dark: float):
    (link,) = links(backend, *((scene(seed) * dark).astype(np.uint8) for seed in (5, 6)))
    assert link.explained < 0.2


def test_where_nothing_can_be_seen_nothing_moves(backend: Backend):
    black = np.zeros((HEIGHT, WIDTH), np.uint8)
    (link,) = links(backend, black, black)
    assert moved(backend, link).abs().max() < 0.01
    assert link.explained > 0.99


@pytest.mark.parametrize("height, width", [(16, 16), (17, 300), (300, 16), (33, 47)])
def test_small_and_narrow_pictures(backend: Backend, height: int, width: int):
    picture = scene(5, height, width)
    (link,) = links(backend, picture, picture)
    assert moved(backend, link).norm(dim=0).max() < 0.5
    assert link.explained > 0.9


def test_a_gpu_steadies_as_a_cpu_does():
    frames = flickering(moving_square(16))
    small = [SmallFrame(f.pts, f.luma, torch.from_numpy(f.chroma), f.cut) for f in frames]
    results = [
        torch.stack([f.chroma for f in TemporalFilter(SmoothSettings(), None, some).run(small)])
        for some in (OpenCV(), Gpu(torch.device("cpu")))
    ]
    assert (results[0] - results[1]).square().mean().sqrt() < 0.015


def test_each_kind_of_device_has_its_backend():
    assert isinstance(backend_for(torch.device("cuda")), Gpu)
    assert isinstance(backend_for(torch.device("cpu")), OpenCV)
    assert isinstance(backend_for(torch.device("mps")), OpenCV)


@pytest.mark.slow
def test_a_gpu_does_all_of_it_itself(monkeypatch):
    """torch's make-believe CUDA computes nothing, but refuses tensors of different devices."""
    monkeypatch.setattr(FakeTensor, "tolist", lambda shares: [1.0] * len(shares))
    black = np.zeros((96, 128), np.uint8)
    with FakeTensorMode(allow_non_fake_inputs=True):
        frames = [
            SmallFrame(number, black, torch.zeros(2, 48, 64, device="cuda"), False)
            for number in range(12)
        ]
        temporal_filter = TemporalFilter(SmoothSettings(), None, backend_for(torch.device("cuda")))
        results = list(temporal_filter.run(frames))
    assert [frame.pts for frame in results] == list(range(12))
    for frame in results:
        assert frame.state is not None
        assert {frame.chroma.device.type} | {part.device.type for part in frame.state} == {"cuda"}
