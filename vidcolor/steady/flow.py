"""Dense optical flow in torch: many pairs of pictures at once, the same for each as alone.

Lucas and Kanade 1981 (An Iterative Image Registration Technique with an Application to Stereo
Vision), for every pixel, from coarse to fine (Bouguet 2001, Pyramidal Implementation of the
Lucas Kanade Feature Tracker). Where a window shows too little to tell, a pixel moves with its
neighbours.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

COARSEST = 16
"""Pixels on the smaller side, below which no picture of the pyramid is."""
STEPS = 5
"""Improvements of the motion at each size."""
LONGEST_STEP = 1.0
"""Pixels that one of them may be long: a straight line is a picture of luma no farther."""
WINDOW = 5
"""Side, in pixels, of the mean that is taken twice for a window with soft edges."""
NEIGHBORS = 7
"""Side, in pixels, of the square whose mean motion fills in."""
PLAIN = 60.0
"""Variance of luma's slope, in squared levels of 255 a pixel, at which a window has half a say."""


def flow(here: Tensor, there: Tensor) -> Tensor:
    """How far the things in `here` are away in `there`.

    here, there: (n, 1, h, w) float32 luma, 0 to 255, at least 16 pixels on a side
    -> (n, 2, h, w) float32: pixels across and down.
    """
    sizes = [here.shape[2:]]
    while min(sizes[-1]) // 2 >= COARSEST:
        sizes.append(torch.Size(side // 2 for side in sizes[-1]))
    found = here.new_zeros(len(here), 2, *sizes[-1])
    for size in reversed(sizes):
        found = _improved(_resized(here, size), _resized(there, size), _enlarged(found, size))
    return found


def sampled(planes: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """planes (n, c, h, w) at the places x and y (n, 1, h', w') in pixels -> (n, c, h', w'),
    bilinear; beyond its edge a picture goes on as it ends.
    """
    height, width = planes.shape[2:]
    places = torch.cat([(across + 0.5) * (2 / width) - 1, (down + 0.5) * (2 / height) - 1], 1)
    return F.grid_sample(
        planes, places.movedim(1, 3), mode="bilinear", padding_mode="border", align_corners=False
    )


def positions(planes: Tensor) -> tuple[Tensor, Tensor]:
    """(w,) and (h, 1): each pixel's own x and y."""
    height, width = planes.shape[2:]
    along = torch.arange(max(height, width), device=planes.device, dtype=planes.dtype)
    return along[:width], along[:height, None]


def _improved(here: Tensor, there: Tensor, found: Tensor) -> Tensor:
    """The motion (n, 2, h, w) nearer to what the two pictures say.

    In each window the motion is sought that explains what is left between the pictures best, luma
    being a straight line there; a change of brightness of the whole window is left out.
    """
    x, y = positions(here)
    slope_x, slope_y = _slopes(here)
    mean_x, mean_y = _window(slope_x), _window(slope_y)
    xx = _window(slope_x * slope_x) - mean_x * mean_x + PLAIN
    yy = _window(slope_y * slope_y) - mean_y * mean_y + PLAIN
    xy = _window(slope_x * slope_y) - mean_x * mean_y
    whole = xx * yy - xy * xy
    for _ in range(STEPS):
        across, down = found[:, :1], found[:, 1:]
        left = here - sampled(there, x + across, y + down) + slope_x * across + slope_y * down
        mean = _window(left)
        habit = _mean(found, NEIGHBORS)
        to_x = _window(slope_x * left) - mean_x * mean + PLAIN * habit[:, :1]
        to_y = _window(slope_y * left) - mean_y * mean + PLAIN * habit[:, 1:]
        better = torch.cat([(yy * to_x - xy * to_y) / whole, (xx * to_y - xy * to_x) / whole], 1)
        found = found + (better - found).clamp(-LONGEST_STEP, LONGEST_STEP)
    return found


def _slopes(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Change of luma by a pixel across and down."""
    wide = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    across = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2
    return across, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2


def _window(planes: Tensor) -> Tensor:
    return _mean(_mean(planes, WINDOW), WINDOW)


def _mean(planes: Tensor, side: int) -> Tensor:
    edge = side // 2
    return F.avg_pool2d(F.pad(planes, (edge,) * 4, mode="replicate"), side, 1)


def _resized(planes: Tensor, size: torch.Size) -> Tensor:
    if planes.shape[2:] == size:
        return planes
    return F.interpolate(planes, size, mode="bilinear", antialias=True)


def _enlarged(found: Tensor, size: torch.Size) -> Tensor:
    """Motion of a smaller size, in pixels of `size`."""
    height, width = size
    if found.shape[2:] == size:
        return found
    longer = found.new_tensor([width / found.shape[3], height / found.shape[2]])
    return F.interpolate(found, size, mode="bilinear") * longer[:, None, None]
