"""A recipe: everything that decides what a training makes, read from TOML and checked."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from vidcolor.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How `lite`'s generator is pretrained. Defaults are those of `training/lite.toml`."""

    steps: int = 6000
    """Batches in all."""
    batch_size: int = 64
    crop: int = 128
    """Side of the luma crops that the generator sees, a multiple of 32."""
    max_learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    decay: float = 0.35
    """Share of the steps, at the end, in which the learning rate falls to zero along a cosine."""
    weight_decay: float = 0.02
    label_smoothing: float = 0.02
    rebalance: float = 0.5
    """0 weighs every pixel alike, 1 every bin alike (Zhang et al. 2016, lambda)."""
    wear: float = 0.5
    """Probability of each kind of film wear (grain, blur, fading, old emulsions ...) per crop."""
    ema_decay: float = 0.998
    temperature: float = 0.7
    """Of the annealed mean in the finished model; below 1 it decides instead of averaging."""
    calm: float = 0.3
    """Share of the rebalancing that the finished model takes back."""
    vividness: float = 1.2
    """Factor on the chroma of the finished model, against the paleness of every mean."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise RecipeError(f"{name} = {getattr(self, name)} is not in {low} .. {high}")
        if self.crop % 32:
            raise RecipeError(f"crop = {self.crop} is not a multiple of 32")


RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 10_000_000),
    "batch_size": (1, 4096),
    "crop": (64, 512),
    "max_learning_rate": (1e-8, 1.0),
    "warmup_steps": (0, 100_000),
    "decay": (0.0, 1.0),
    "weight_decay": (0.0, 1.0),
    "label_smoothing": (0.0, 0.5),
    "rebalance": (0.0, 1.0),
    "wear": (0.0, 1.0),
    "ema_decay": (0.0, 0.99999),
    "temperature": (0.05, 2.0),
    "calm": (0.0, 1.0),
    "vividness": (0.5, 2.0),
    "seed": (0, 2**31 - 1),
}


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe. RecipeError names the file, the key and what is allowed."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe; see the training folder for some") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path}: not a TOML file: {error}") from error
    types = {field.name: field.type for field in fields(Recipe)}
    for key, value in values.items():
        if key not in types:
            raise RecipeError(f"{path}: unknown key {key!r}; known are {', '.join(types)}")
        wanted = (int, float) if types[key] is float else int
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise RecipeError(f"{path}: {key} must be a number, not {value!r}")
    try:
        return Recipe(**values)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
