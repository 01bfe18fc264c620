"""When to stop the GAN phase: at the best of its scores.

DeOldify's author compared pictures and took the last checkpoint before skin turned orange. Here
every score has a cost, the sum of

- `frechet` over its value before the phase: the distance of features from those of photos;
- the rise of `ab_error` over its value before the phase, fifteen times: the distance of features
  continues to fall where colors move to wrong places, which this term measures;
- `colorfulness_gap`, absolute;
- `skin_gap` / 2, absolute: the share of skin-colored pixels against the photos';
- `saturated_gap` / 4 where positive: the excess of saturated pixels.

and, with clips, `cdc_gap` where positive: by how much more the colors of successive frames change
than in the originals. The score of least cost is the best. The phase ends when `patience` scores in
a row were not better.
"""

import math

Score = dict[str, float]

ERROR_WEIGHT = 15
"""A rise of the error by 1 % costs as much as a fall of the Frechet distance by 15 % gains; set on
two runs of `lite`, whose checkpoints were compared by eye."""


def cost(score: Score, first: Score) -> float:
    """The sum above; `first` is the score before the phase began."""
    frechet = score["frechet"] / max(first["frechet"], 1e-9) if "frechet" in score else 0.0
    rise = score["ab_error"] / max(first["ab_error"], 1e-9) - 1
    return (
        frechet
        + ERROR_WEIGHT * rise
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
