"""Where things move from one frame to the next, found in luma alone."""

from typing import NamedTuple

from vidcolor.chroma.temporal.backend import Backend, Planes

LUMA_STEP = 10.0
"""Change of luma, in levels of 255, that halves the confidence where there is no grain."""

GRAIN_QUANTILE = 0.2
"""Quantile of local variance taken as grain level."""


class Motion(NamedTuple):
    """Optical flow that warps the planes of n frames to their neighbors, and its confidence."""

    places: Planes
    """(n, 2, h, w): x and y, in the frame that is carried, of what each pixel shows."""
    confidence: Planes
    """(n, 1, h, w) in [0, 1]: whether both frames show the same thing there."""


class Link(NamedTuple):
    """The motion between two neighbors, both ways; n is 1."""

    forward: Motion
    """Carries the earlier frame to the later."""
    backward: Motion
    """Carries the later frame to the earlier."""
    explained: float
    """Share, 0 to 1, of the later frame that the earlier one explains."""


class Tracker:
    """Finds and follows the motion between frames."""

    def __init__(self, backend: Backend):
        self._backend = backend

    def links(self, luma: Planes) -> list[Link]:
        """luma: (n, 1, h, w) of frames that follow each other -> the n - 1 links between them."""
        backend, earlier, later = self._backend, luma[:-1], luma[1:]
        count = len(earlier)
        both = backend.flow(backend.cat([earlier, later], 0), backend.cat([later, earlier], 0))
        forward_flow, backward_flow = both[:count], both[count:]
        grain = 2 * self._grain(later)  # that of either frame
        forward = self._motion(earlier, later, backward_flow, forward_flow, grain)
        backward = self._motion(later, earlier, forward_flow, backward_flow, grain)
        explained = forward.confidence.mean((1, 2, 3)).tolist()
        return [
            Link(*pair) for pair in zip(_each(forward), _each(backward), explained, strict=True)
        ]

    def carry(self, planes: Planes, motion: Motion) -> Planes:
        """planes: (1, c, h, w) -> the same, moved."""
        return self._backend.sample(planes, motion.places)

    def _motion(
        self, carried: Planes, target: Planes, flow: Planes, reverse: Planes, grain: Planes
    ) -> Motion:
        """Of all pairs at once. flow: from `target` to the frame that is carried, in pixels;
        reverse: the other way. grain: variance of what grain alone could make them differ by.

        Confidence is lower where the forward and backward flow disagree (Sundaram et al. 2010) and
        where luma differs by more than its grain and the whole picture's flicker; it is 0 outside
        the picture.
        """
        backend = self._backend
        places = backend.pixels(target) + flow
        back = backend.sample(reverse, places)
        missed = squares(flow + back)
        allowed = 0.02 * (squares(flow) + squares(back)) + 0.5

        change = target - backend.sample(carried, places)
        change = change - backend.quantile(change[..., ::4, ::4], 0.5)
        change = backend.blur(change * change, 5)
        # Fine texture that is tracked well is not grain.
        grain = grain.clip(max=backend.quantile(change[..., ::4, ::4], 0.5))
        change = (change - grain).clip(min=0) / (LUMA_STEP**2 + grain)

        doubt = missed / allowed + change
        x, y = places[:, :1], places[:, 1:]
        height, width = target.shape[2:]
        inside = (x > -1) & (x < width) & (y > -1) & (y < height)
        return Motion(places, inside / (1 + doubt * doubt))

    def _grain(self, luma: Planes) -> Planes:
        """(n, 1, 1, 1): variance of the grain, a low quantile of the local variance of detail."""
        fine = luma - self._backend.blur(self._backend.blur(luma, 5), 5)
        return self._backend.quantile(
            self._backend.blur(fine * fine, 15)[..., ::8, ::8], GRAIN_QUANTILE
        )


def squares(pairs: Planes) -> Planes:
    """(n, 2, h, w) -> (n, 1, h, w): squared lengths."""
    first, second = pairs[:, :1], pairs[:, 1:]
    return first * first + second * second


def _each(motion: Motion) -> list[Motion]:
    """The motion of each pair."""
    return [Motion(*(part[i : i + 1] for part in motion)) for i in range(len(motion.confidence))]
