"""Dense optical flow in torch: many pairs of pictures at once, the same for each as alone.

Lucas and Kanade 1981 (An Iterative Image Registration Technique with an Application to Stereo
Vision), for every pixel, from coarse to fine (Bouguet 2001, Pyramidal Implementation of the
Lucas Kanade Feature Tracker). Where a window has too little texture, a pixel moves with its
neighbors; where a neighbor's motion explains it better than its own, it takes that (as Barnes et
al. 2009, PatchMatch).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

COARSEST = 12
"""Pixels on the smaller side, below which no picture of the pyramid is."""
STEPS = 4
"""Improvements of the motion at each size."""
CONTRAST = 50.0
"""Deviation of luma, in levels of 255, to which both pictures are stretched if they have less."""
FAINTEST = 2.0
"""Deviation below which there is nothing but noise to stretch."""
LONGEST_STEP = 1.0
"""Longest of them, in pixels: luma is close to linear no farther."""
WINDOW = 5
"""Side, in pixels, of the mean that is taken twice for a window with soft edges."""
NEIGHBORS = 7
"""Side, in pixels, of the square whose mean motion fills in."""
NEAR = 12
"""Pixels to the neighbors whose motion a pixel tries before its own is improved."""
LAZY = 1.0
"""What a guess costs, in squared levels of luma for each of its squared pixels."""
PLAIN = 60.0
"""Variance of luma's slope, in squared levels of 255 a pixel, at which a window's own
motion and its neighbors' mean have the same weight."""


def optical_flow(here: Tensor, there: Tensor) -> Tensor:
    """How far the things in `here` are away in `there`.

    here, there: (n, 1, h, w) float32 luma, 0 to 255, at least 16 pixels on a side
    -> (n, 2, h, w) float32: pixels across and down.
    """
    here, there = _stretched(here, there)
    sizes = [here.shape[2:]]
    while min(sizes[-1]) // 2 >= COARSEST:
        sizes.append(torch.Size(side // 2 for side in sizes[-1]))
    found = here.new_zeros(len(here), 2, *sizes[-1])
    for size in reversed(sizes):
        pair = _resized(here, size), _resized(there, size)
        found = _improved(*pair, _best(*pair, _guesses(_enlarged(found, size))))
    return found


def sampled(planes: Tensor, places: Tensor) -> Tensor:
    """planes (n, c, h, w) at places (n, 2, h', w'), x and y in pixels -> (n, c, h', w'), bilinear;
    pixels at the edge are replicated beyond it.
    """
    # From the middle of a pixel at -1 + 1 / size to that of the last at 1 - 1 / size.
    sides = zip(places.unbind(1), reversed(planes.shape[2:]), strict=True)
    grid = torch.stack([along * (2 / side) + (1 / side - 1) for along, side in sides], 3)
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=False)


def pixels(planes: Tensor) -> Tensor:
    """(n, c, h, w) -> (1, 2, h, w): each pixel's own x and y."""
    height, width = (torch.arange(side, device=planes.device) for side in planes.shape[2:])
    return torch.stack(torch.meshgrid(width, height, indexing="xy"))[None].to(planes.dtype)


def mean_around(planes: Tensor, side: int) -> Tensor:
    """The mean of the square of `side` (odd) pixels around each, as far as there is a picture."""
    return F.avg_pool2d(planes, side, 1, side // 2, count_include_pad=False)


def _stretched(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Both pictures with at least CONTRAST: without it, no motion is found in dark or dull ones."""
    variance = torch.cat([here, there], 3).var((1, 2, 3), keepdim=True)
    gain = (CONTRAST / variance.sqrt().clamp(min=FAINTEST)).clamp(min=1)
    return here * gain, there * gain


def _guesses(found: Tensor) -> list[Tensor]:
    """A pixel's own motion (n, 2, h, w), and that of four around it."""
    height, width = found.shape[2:]
    wide = F.pad(found, (NEAR,) * 4, mode="replicate")
    starts = (NEAR, NEAR), (0, NEAR), (2 * NEAR, NEAR), (NEAR, 0), (NEAR, 2 * NEAR)
    return [wide[..., y : y + height, x : x + width] for y, x in starts]


def _best(here: Tensor, there: Tensor, guesses: list[Tensor]) -> Tensor:
    """Of several motions (n, 2, h, w) the one that explains each pixel's window best."""
    own = pixels(here)
    costs = []
    for guess in guesses:
        left = here - sampled(there, own + guess)
        mean, square = _window(torch.cat([left, left * left], 1)).split(1, 1)
        costs.append(square - mean * mean + LAZY * guess.square().sum(1, keepdim=True))
    best = torch.stack(costs).argmin(0, keepdim=True)
    return torch.stack(guesses).take_along_dim(best, 0)[0]


def _improved(here: Tensor, there: Tensor, found: Tensor) -> Tensor:
    """The motion (n, 2, h, w), improved by comparing the two pictures.

    In each window the motion is sought that best explains the remaining difference of the pictures,
    taking luma as linear there; a change of brightness of the whole window is left out.
    """
    own = pixels(here)
    slope = _slope(here)
    mean_slope = _window(slope)
    inverse = _inverse(slope, mean_slope)
    for _ in range(STEPS):
        left = here - sampled(there, own + found) + (slope * found).sum(1, keepdim=True)
        mean = _window(torch.cat([left, slope * left], 1))
        common = mean[:, 1:] - mean_slope * mean[:, :1]
        target = common + PLAIN * mean_around(found, NEIGHBORS)
        better = (inverse * target[:, None]).sum(2)
        found = found + (better - found).clamp(-LONGEST_STEP, LONGEST_STEP)
    return found


def _slope(luma: Tensor) -> Tensor:
    """(n, 1, h, w) -> (n, 2, h, w): its change by a pixel across and down."""
    wide = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    across = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
    return torch.cat([across, wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]], 1) / 2


def _inverse(slope: Tensor, mean: Tensor) -> Tensor:
    """(n, 2, 2, h, w): what turns each window's covariance of slope and change into motion."""
    x, y = slope[:, 0], slope[:, 1]
    squares = _window(torch.stack([x * x, y * y, x * y], 1))
    xx = squares[:, 0] - mean[:, 0] ** 2 + PLAIN
    yy = squares[:, 1] - mean[:, 1] ** 2 + PLAIN
    xy = squares[:, 2] - mean[:, 0] * mean[:, 1]
    rows = torch.stack([yy, -xy], 1), torch.stack([-xy, xx], 1)
    return torch.stack(rows, 1) / (xx * yy - xy * xy)[:, None, None]


def _window(planes: Tensor) -> Tensor:
    return mean_around(mean_around(planes, WINDOW), WINDOW)


def _resized(planes: Tensor, size: torch.Size) -> Tensor:
    if planes.shape[2:] == size:
        return planes
    return F.interpolate(planes, size, mode="bilinear", antialias=True)


def _enlarged(found: Tensor, size: torch.Size) -> Tensor:
    """Motion of a smaller size, in pixels of `size`."""
    height, width = size
    if found.shape[2:] == size:
        return found
    across, down = F.interpolate(found, size, mode="bilinear").split(1, 1)
    return torch.cat([across * (width / found.shape[3]), down * (height / found.shape[2])], 1)
