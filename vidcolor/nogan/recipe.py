"""A recipe: all settings of a training, read from TOML and checked."""

import logging
import tomllib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from vidcolor.errors import RecipeError
from vidcolor.nogan.adversarial import LOSSES
from vidcolor.nogan.registry import critic_kind, trainer_class
from vidcolor.nogan.settings import (
    Augment,
    Between,
    Content,
    Count,
    Critic,
    Gan,
    Generator,
    Images,
    Stage,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training: pretrain, then [images, critic, gan] as often as `cycles` says."""

    generator: Generator
    seed: Annotated[int, Between(0, 2**31 - 1)] = 1
    cycles: Annotated[int, Between(0, 100)] = 1
    validation: Annotated[float, Between(0, 0.5)] = 0.1
    """Share of the photos that is held back where no --val is given."""
    score_photos: Annotated[int, Between(2, 10_000)] = 128
    """Validation photos of each score."""
    checkpoint_every: Count = 250
    """Steps."""
    augment: Augment = field(default_factory=Augment)
    content: Content = field(default_factory=Content)
    pretrain: tuple[Stage, ...] = ()
    images: Images | None = None
    critic: Critic | None = None
    gan: tuple[Gan, ...] = ()
    """One or more stages of each cycle's GAN phase."""

    @property
    def generator_stages(self) -> tuple[Stage, ...]:
        """All in which the generator is trained."""
        return (*self.pretrain, *self.gan)

    @property
    def critic_stages(self) -> tuple[Stage, ...]:
        """All in which the critic is trained alone."""
        return (*self.critic.first, *self.critic.stages) if self.critic else ()

    @property
    def gan_size(self) -> int | None:
        """Side of the pictures that the GAN phase is scored with."""
        return self.gan[-1].size if self.gan else None

    def __post_init__(self) -> None:
        if self.cycles and not (self.critic and self.gan):
            raise RecipeError("cycles need the tables critic and gan; or set cycles = 0")
        if self.cycles and self.critic_stages and not self.images:
            raise RecipeError("a critic with stages needs the table images to be trained with")
        if not self.pretrain and not (self.cycles and self.gan):
            raise RecipeError("pretrain needs at least one table, or gan with cycles = 1")
        kind = trainer_class(self.generator.architecture)
        for stage in self.generator_stages:
            kind.check_stage(self.generator, stage)
        kind.check(self.generator)
        for stage in self.generator_stages:
            if stage.frozen and stage.frozen >= (groups := kind.group_count(self.generator)):
                raise RecipeError(
                    f"frozen = {stage.frozen} leaves nothing to train: the network has {groups} "
                    "groups of layers"
                )
            _check_momentum(stage)
        if self.critic and self.gan:
            self._check_critic(self.critic)
        for stage in self.generator_stages:
            _check_split(stage, stage.batch)

    def _check_critic(self, critic: Critic) -> None:
        kind = critic_kind(critic.architecture)
        for stage in (*self.critic_stages, *self.gan):
            kind.check_size(critic, stage.size)
        for stage in self.critic_stages:
            if len(stage.rates) != 1:
                raise RecipeError(
                    f"rates = {list(stage.rates)} of a critic: there must be 1 of them"
                )
            if stage.frozen:
                raise RecipeError(f"frozen = {stage.frozen}: a critic has no groups of layers")
            _check_momentum(stage)
            _check_split(stage, max(1, stage.batch // 2))
        for stage in self.gan:
            _check_game(stage, kind.norm(critic))


def _check_game(stage: Gan, norm: str) -> None:
    """Raise RecipeError for losses, rhythms and norms that do not belong together.

    norm: the critic's, as `CriticKind.norm` says.
    """
    wasserstein = stage.loss == "wasserstein"
    if wasserstein and stage.rhythm == "threshold":
        raise RecipeError(
            'loss = "wasserstein" has no level that a threshold could mean; set rhythm = "steps"'
        )
    if stage.penalty and norm != "none":
        raise RecipeError(
            f"penalty = {stage.penalty} is of each picture's own gradient, and the critic has "
            f'{norm} norm; set its norm = "none", or penalty = 0'
        )
    if wasserstein and not stage.penalty and norm != "spectral":
        raise RecipeError(
            'loss = "wasserstein" needs a penalty above 0, or a critic with spectral norm'
        )
    if stage.real_label < 1 and not LOSSES[stage.loss].smooths:
        raise RecipeError(
            f'real_label = {stage.real_label} has no meaning with loss = "{stage.loss}"'
        )
    if stage.rhythm == "threshold" and stage.critic_steps != 1:
        raise RecipeError(f'critic_steps = {stage.critic_steps} needs rhythm = "steps"')


def _check_momentum(stage: Stage) -> None:
    if stage.schedule == "one-cycle" and stage.betas[0] != 0.9:
        raise RecipeError(
            f"betas[0] = {stage.betas[0]} is not used by the one-cycle schedule, which moves it "
            "from 0.95 to 0.85 and back; leave it at 0.9"
        )


def _check_split(stage: Stage, photos: int) -> None:
    """Every part of a step needs a photo of each kind that is in its batch."""
    if stage.accumulate > photos:
        raise RecipeError(
            f"accumulate = {stage.accumulate} splits a batch of {stage.batch} into parts without "
            "a photo; make it smaller"
        )


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe. RecipeError names the file, the key and what is allowed."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe; see the training folder for some") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path}: not a TOML file: {error}") from error
    try:
        return _table(Recipe, values, "")
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


RENAMED = {
    "scored": "score_photos",
    "content.instead": "fallback",
    "generator.calm": "prior_correction",
    "generator.vividness": "chroma_gain",
    "augment.wear": "degrade",
    "augment.chance": "probability",
    "critic.augment.wear": "degrade",
    "critic.augment.chance": "probability",
}
"""Keys of version 0.1 -> today's names, which recipes and run folders of then are read with."""


def _renamed(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The table under today's names. Raises RecipeError where a key is there under both."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        today = RENAMED.get(prefix + name, name)
        if today in result or (today != name and today in values):
            raise RecipeError(f"{prefix}{name} is {prefix}{today} today; keep one of the two")
        if today != name:
            log.warning("the recipe's key '%s%s' is called '%s' today", prefix, name, today)
        result[today] = value
    return result


def _table(kind: type, values: Any, key: str) -> Any:
    """A table of the file -> its dataclass."""
    if not isinstance(values, dict):
        raise RecipeError(f"{key} must be a table")
    types = get_type_hints(kind, include_extras=True)
    prefix = f"{key}." if key else ""
    values = _renamed(values, prefix)
    for name in values:
        if name not in types:
            raise RecipeError(f"unknown key '{prefix}{name}'; known are {', '.join(types)}")
    for item in fields(kind):
        required = item.default is MISSING and item.default_factory is MISSING
        if required and item.name not in values:
            raise RecipeError(f"{prefix}{item.name} is missing")
    return kind(
        **{name: _value(types[name], value, prefix + name) for name, value in values.items()}
    )


def _value(kind: Any, value: Any, key: str) -> Any:
    """One value of the file -> the type of the dataclass's field."""
    arguments = get_args(kind)
    if get_origin(kind) is Annotated:
        base, limits = arguments
        number = _value(base, value, key)
        if not limits.low <= number <= limits.high:
            raise RecipeError(f"{key} = {value} is not in {limits.low} .. {limits.high}")
        return number
    if get_origin(kind) is Literal:
        if value not in arguments:
            raise RecipeError(f"{key} = {value!r} is none of {', '.join(map(repr, arguments))}")
        return value
    if get_origin(kind) is tuple:
        endless = arguments[-1] is Ellipsis
        if endless and is_dataclass(arguments[0]) and isinstance(value, dict):
            return (_value(arguments[0], value, key),)  # one table for a list of one
        if not isinstance(value, list) or not (endless or len(value) == len(arguments)):
            count = "" if endless else f" of {len(arguments)}"
            raise RecipeError(f"{key} must be a list{count}, not {value!r}")
        return tuple(_value(arguments[0], item, f"{key}[{i}]") for i, item in enumerate(value))
    options = (kind, *arguments)
    tables = [o for o in options if isinstance(o, type) and is_dataclass(o)]
    if tables:
        return _table(_with_settings(tables[0], value, key), value, key)
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise RecipeError(f"{key} must be {_NAMES[kind]}, not {value!r}")
    return value


def _with_settings(kind: type, value: Any, key: str) -> type:
    """The table's dataclass; of a network's table the one that has this network's settings."""
    if kind not in (Generator, Critic) or not isinstance(value, dict):
        return kind
    name = value.get("architecture", getattr(kind, "architecture", None))
    if name is None:
        raise RecipeError(f"{key}.architecture is missing")
    if not isinstance(name, str):
        raise RecipeError(f"{key}.architecture must be text, not {name!r}")
    if kind is Critic:
        return critic_kind(name).settings
    return trainer_class(name).settings_class


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
