"""Where shots begin: cuts are found; flicker, flashes, pans and grain are not taken for them."""

import cv2
import numpy as np
import pytest

from vidcolor.shots import EXPLAINED, Changes

CUT = 12
"""In these films of 24 frames."""


def scenery(seed: int, frames: int, step: int = 2) -> list[np.ndarray]:
    """A camera that pans over a texture: (96, 128) float, about 40 to 210."""
    random = np.random.default_rng(seed)
    coarse = random.random((12, 30)).astype(np.float32)
    wide = cv2.resize(coarse, (300, 96), interpolation=cv2.INTER_CUBIC)
    return [40 + 170 * wide[:, step * number : step * number + 128] for number in range(frames)]


def cuts(frames: list[np.ndarray]) -> list[int]:
    changes = Changes()
    for frame in frames:
        changes.add(frame.clip(0, 255).astype(np.uint8))
    return [number for number, share in enumerate(changes.explained) if share < EXPLAINED]


def plain(frames: list[np.ndarray]) -> list[np.ndarray]:
    return frames


def dark(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [16 + 0.2 * frame for frame in frames]


def flickering(frames: list[np.ndarray]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [frame * random.uniform(0.75, 1.1) for frame in frames]


def grainy(frames: list[np.ndarray]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [frame + random.normal(0, 12, frame.shape) for frame in frames]


def flashing(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Two frames that are nearly white, then one that is black."""
    changed = list(frames)
    changed[5], changed[6] = 1.4 * frames[5] + 120, 1.4 * frames[6] + 120
    changed[17] = 0 * frames[17] + 16
    return changed


@pytest.mark.parametrize("how", [plain, dark, flickering, grainy, flashing])
def test_a_cut_is_found_and_nothing_else_is(how):
    one, other = scenery(1, CUT), scenery(2, CUT)
    assert cuts(how(one + other)) == [CUT]
    assert cuts(how(scenery(3, 2 * CUT))) == []


def test_a_film_without_any_picture_is_one_shot():
    assert cuts([np.full((96, 128), 16.0)] * 5) == []


def test_the_first_picture_after_black_begins_a_shot():
    black = [np.full((96, 128), 16.0)] * 8
    assert cuts(black + scenery(1, 8)) == [8]
