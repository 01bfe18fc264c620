"""Knowing when to stop: the point where the GAN phase has given color and not yet taken truth.

DeOldify's author looked at pictures and took the last checkpoint before skin turned orange. Here
every score gets a cost, the sum of five terms that each say one thing a person looks for:

- `frechet` over its value before the phase: do the pictures as a whole look like photos?
- the rise of `ab_error` over its value before the phase, fifteen times: are the colors still where
  they belong? The critic's features know nothing of that, and their distance falls for ever;
- `colorfulness_gap`, absolute: are they as lively as the photos'?
- `skin_gap` / 2, absolute: is there as much of the color of skin as in the photos?
- `saturated_gap` / 4 where positive: is there more glaring color than in the photos?

and, with clips, `cdc_gap` where positive: do the colors of frames that follow each other change
more than in the originals? The least cost wins. The curve has turned when so many scores in a row
as `patience` says are worse than the best.
"""

import math

Score = dict[str, float]

TRUTH = 15
"""A rise of the error by 1 % costs as much as a fall of the Frechet distance by 15 % gains; set on
two runs of `lite`, whose checkpoints were compared by eye."""


def cost(score: Score, first: Score) -> float:
    """The sum above; `first` is the score before the phase began."""
    frechet = score["frechet"] / max(first["frechet"], 1e-9) if "frechet" in score else 0.0
    rise = score["ab_error"] / max(first["ab_error"], 1e-9) - 1
    return (
        frechet
        + TRUTH * rise
        + abs(score["colorfulness_gap"])
        + abs(score["skin_gap"]) / 2
        + max(0.0, score["saturated_gap"]) / 4
        + max(0.0, score.get("cdc_gap", 0.0))
    )


def best_of(scores: list[Score]) -> int | None:
    """The index of the score with the least cost, the earliest if several have it.

    A cost that is not finite is never the least; None if there is no other, as where the first
    score, which all are compared with, is not finite.
    """
    costs = [cost(score, scores[0]) for score in scores]
    finite = [(value, index) for index, value in enumerate(costs) if math.isfinite(value)]
    return min(finite)[1] if finite else None


def has_turned(scores: list[Score], patience: int) -> bool:
    """Whether no score was better than the best one `patience` scores ago, or none can be."""
    best = best_of(scores)
    return best is None or len(scores) - 1 - best >= patience
