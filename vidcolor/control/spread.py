"""What hints change in the colors of their frame."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidcolor.chroma.resize import resize_planes
from vidcolor.control.hints import Hint, planes_of
from vidcolor.control.matching import encoder, network_luma, see

# Chosen on color clips (benchmarks/references.py).
NO_HINT = 0.3
"""Likeness to a hinted place at which its color counts half."""
TEMPERATURE = 0.05
"""Change in likeness that changes its odds e times."""


@torch.inference_mode()
def difference(luma: NDArray, hints: Sequence[Hint], colors: NDArray) -> NDArray:
    """How hints change the colors of a frame.

    luma: (h, w) uint8 of square pixels; hints: those of this frame; colors: (2, h, w) float32, its
    chroma without them -> (2, h', w') float32, at a smaller size.

    What looks like a hinted place takes its color. For the rest of the picture `lite` is asked
    twice, with the hints and without: other networks than it get the same difference.
    """
    small = network_luma(luma)
    height, width = small.shape[2:]
    asked = torch.from_numpy(planes_of(hints, width, height))[None]
    network = encoder()
    change = (network.chroma(small, asked) - network.chroma(small))[0]
    cells = change.shape[1], change.shape[2]

    masks = torch.stack([_cells(hint.mask(width, height), cells) for hint in hints])
    # The later hint counts where two overlap.
    later = torch.cat([masks[1:].flip(0).cumsum(0).flip(0), torch.zeros_like(masks[:1])])
    masks &= later == 0
    numbers, places = masks.flatten(1).nonzero().unbind(1)
    wanted = torch.tensor([hint.chroma for hint in hints])[numbers]
    # A large hint does not reach farther than a small one.
    share = masks.flatten(1).sum(1)[numbers]

    sight = see(luma)
    odds = sight.scores(sight, places) / TEMPERATURE - share.log()
    none = torch.full((len(odds), 1), NO_HINT / TEMPERATURE)
    shares = F.softmax(torch.cat([odds, none], 1), 1)[:, :-1]
    shares[places] = F.one_hot(torch.arange(len(places)), len(places)).to(shares)
    found = (shares @ wanted).T.reshape(2, *cells)
    total = shares.sum(1).view(cells)
    now = resize_planes(torch.from_numpy(np.ascontiguousarray(colors))[None], cells, "area")[0]
    return (found - total * now + (1 - total) * change).numpy()


def _cells(mask: NDArray, cells: tuple[int, int]) -> Tensor:
    """(h, w) bool -> (h', w') bool: the cells that it covers half, or else touches at all."""
    cover = F.adaptive_avg_pool2d(torch.from_numpy(mask)[None].float(), cells)[0]
    half = cover >= 0.5
    return half if half.any() else cover >= cover.max()
