"""A recipe: all settings of a training, read from TOML and checked."""

import logging
import tomllib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from vidcolor.errors import RecipeError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Between:
    """The allowed range of a number, both ends included."""

    low: float
    high: float


Count = Annotated[int, Between(1, 10_000_000)]
Share = Annotated[float, Between(0, 1)]
Size = Annotated[int, Between(64, 512)]
Weight = Annotated[float, Between(0, 1000)]
Rate = Annotated[float, Between(0, 1)]
Beta = Annotated[float, Between(0, 0.999999)]


@dataclass(frozen=True, kw_only=True)
class Generator:
    """The network, its initial weights and what is done to the finished one."""

    architecture: Literal["lite", "deep", "wide"]
    encoder: str = "random"
    """Initial weights of the encoder, trained on ImageNet. Of deep and wide: "imagenet", a ResNet
    that is downloaded, as DeOldify's; of lite with a MobileNet: the path of its safetensors."""
    shrink: Annotated[int, Between(1, 32)] = 1
    """Of deep and wide: divides every number of channels, for trials."""
    shape: Literal["residual", "mobilenet-v1"] = "residual"
    """Of lite: see `models.lite.LiteShape` and `models.lite_mobile.MobileShape`."""
    widths: tuple[Count, ...] = (48, 104, 192, 288)
    """Of the residual shape."""
    decoder: tuple[Count, ...] = (144, 96, 48)
    skips: tuple[Annotated[int, Between(0, 1024)], ...] = (128, 96, 48)
    context: Count = 256
    """Of the MobileNet shape."""
    bins: Annotated[int, Between(8, 400)] = 196
    ema: Annotated[float, Between(0, 0.99999)] = 0.0
    """Decay of the averaged weights that are scored and exported; 0 takes the last ones."""
    temperature: Annotated[float, Between(0.05, 2)] = 0.7
    """Of lite's annealed mean; the lower, the nearer it is to the most probable color."""
    prior_correction: Share = 0.3
    """Share of the rebalancing that the finished lite takes back."""
    chroma_gain: Annotated[float, Between(0.5, 2)] = 1.2
    """Factor on the chroma of the finished lite; the mean of probable colors is too pale."""


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is done to photos; `noise` and `degrade` to the input only, the rest to both sides."""

    flip: Share = 0.5
    probability: Share = 0.75
    """Of each of rotation, warp and lighting."""
    zoom: Annotated[float, Between(1, 4)] = 1.0
    """A crop is up to this many times smaller than the photo's largest square."""
    rotate: Annotated[float, Between(0, 45)] = 0.0
    """Degrees to either side."""
    warp: Annotated[float, Between(0, 0.5)] = 0.0
    """How far the corners move, in halves of the side."""
    lighting: Annotated[float, Between(0, 0.9)] = 0.0
    """Strength of brightness and contrast changes, made in logit space."""
    noise: Share = 0.0
    """Probability of DeOldify's pixel noise."""
    degrade: Share = 0.0
    """Probability of each kind of film damage (grain, blur, fading, old emulsions ...)."""
    degrade_strength: Annotated[float, Between(0, 2)] = 1.0
    """How strongly: factor on contrast changes, blur and grain."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a training with one picture size and one schedule."""

    steps: Annotated[int, Between(0, 10_000_000)] = 0
    """Batches; 0 takes `epochs` times `keep` of the photos."""
    epochs: Count = 1
    keep: Annotated[float, Between(1e-6, 1)] = 1.0
    """Share of the photos that is used."""
    size: Size
    batch: Annotated[int, Between(1, 4096)]
    """Photos per step, over all devices and shares."""
    accumulate: Annotated[int, Between(1, 256)] = 1
    """Parts that each device splits its photos of a step into, to save memory."""
    rates: tuple[Rate, ...]
    """Highest learning rate: one for all; or of early encoder, late encoder and the rest; or, of
    lite with a MobileNet, of its encoder and the rest."""
    schedule: Literal["level", "one-cycle"] = "level"
    warmup: Share = 0.0
    """Share of the steps in which the rate rises (linearly, or along a cosine in one-cycle)."""
    decay: Share = 0.0
    """Level: share of the steps, at the end, in which the rate falls to 0 along a cosine."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Adam's decay rates; in one-cycle the first moves from 0.95 to 0.85 and back instead."""
    weight_decay: Rate = 0.0
    decay_vectors: bool = False
    """Whether biases and norms decay, too."""
    clip: Weight = 0.0
    """Largest norm of the gradient; 0 does not clip."""
    freeze_encoder: bool = False
    """Of deep and wide: the encoder's convolutions stay as they are."""
    rebalance: Share = 0.5
    """Lite: 1 weights all pixels equally, 0 all bins (Zhang et al. 2016, lambda): the smaller, the
    more rare colors count. Where it changes between phases, the head is corrected for it."""
    label_smoothing: Annotated[float, Between(0, 0.5)] = 0.02
    hints: Share = 0.0
    """Lite with a MobileNet: share of the crops that come with hints of the right colors."""
    score_every: Annotated[int, Between(0, 10_000_000)] = 0
    """Steps of pretraining between scores on the validation photos; 0: none."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content loss, between generated picture and photo: L1, classification, features."""

    pixels: Weight = 1.0
    """L1 of normalized RGB; for lite of chroma, beside the classification of weight 1."""
    features: Literal["vgg", "none"] = "none"
    fallback: Literal["critic", "none", "stop"] = "stop"
    """When the VGG cannot be had: use the critic's features in the GAN phase, as they are when it
    begins; do without features; or stop with an error."""
    weights: tuple[Weight, Weight, Weight] = (20.0, 70.0, 10.0)
    """Of the three layers of the VGG."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """The pictures that the critic is pretrained with."""

    size: Size
    batch: Annotated[int, Between(1, 4096)] = 8
    keep: Annotated[float, Between(1e-6, 1)] = 1.0


@dataclass(frozen=True, kw_only=True)
class Critic:
    """The critic's shape and pretraining."""

    width: Annotated[int, Between(8, 512)] = 256
    blocks: Annotated[int, Between(1, 4)] = 3
    dropout: Annotated[float, Between(0, 0.9)] = 0.15
    augment: Augment = field(default_factory=Augment)
    first: tuple[Stage, ...] = ()
    """Stages of the first cycle only."""
    stages: tuple[Stage, ...]


@dataclass(frozen=True, kw_only=True)
class Gan(Stage):
    """Both networks in turn. Steps count every batch, of either network."""

    threshold: Annotated[float, Between(0, 10)] = 0.65
    """The generator gets one batch after each critic batch whose loss is below this."""
    critic_rate: Annotated[float, Between(0.01, 1000)] = 5.0
    """Times the generator's learning rate."""
    adversarial: Weight = 1.0
    content: Weight = 1.0
    score_every: Count = 100
    """Steps between scores on the validation photos."""
    patience: Count = 5
    """Scores in a row without improvement after which the phase ends."""


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
    pretrain: tuple[Stage, ...]
    images: Images | None = None
    critic: Critic | None = None
    gan: Gan | None = None

    def __post_init__(self) -> None:
        if self.cycles and not (self.images and self.critic and self.gan):
            raise RecipeError("cycles need the tables images, critic and gan; or set cycles = 0")
        if not self.pretrain:
            raise RecipeError("pretrain needs at least one table")
        for stage in (*self.pretrain, *([self.gan] if self.gan else [])):
            if stage.size % 32:
                raise RecipeError(f"size = {stage.size} is not a multiple of 32")
            groups = self._rates_allowed()
            if len(stage.rates) not in groups:
                words = " or ".join(map(str, groups))
                raise RecipeError(f"rates = {list(stage.rates)}: there must be {words} of them")
        self._check_generator()
        if self.critic and self.gan:
            self._check_critic(self.critic, self.gan)
        for stage in (*self.pretrain, *([self.gan] if self.gan else [])):
            _check_split(stage, stage.batch)

    def _rates_allowed(self) -> tuple[int, ...]:
        """How many learning rates a stage of the generator may have."""
        if self.generator.architecture != "lite":
            return (1, 3)
        return (1,) if self.generator.shape == "residual" else (1, 2)

    def _check_generator(self) -> None:
        generator = self.generator
        if generator.architecture != "lite":
            if generator.encoder not in ("imagenet", "random"):
                raise RecipeError(f"encoder = {generator.encoder!r} is not 'imagenet' or 'random'")
            if generator.encoder == "imagenet" and generator.shrink != 1:
                raise RecipeError("encoder = 'imagenet' needs shrink = 1; or set it to 'random'")
        elif generator.shape == "residual":
            if generator.encoder != "random":
                raise RecipeError("encoder needs shape = 'mobilenet-v1', or set it to 'random'")
            if not 2 <= len(generator.widths) <= 4:
                raise RecipeError(f"widths = {list(generator.widths)} must hold 2 to 4 numbers")
            if len(generator.decoder) != len(generator.widths) - 1:
                raise RecipeError(
                    f"decoder = {list(generator.decoder)} must hold one number less than widths"
                )
        else:
            for name, numbers in (("decoder", generator.decoder), ("skips", generator.skips)):
                if len(numbers) != 3:
                    raise RecipeError(f"{name} = {list(numbers)} must hold 3 numbers")

    def _check_critic(self, critic: Critic, gan: Gan) -> None:
        # Every block halves the size, as the layer before them does; 4 x 4 values must be left.
        smallest = 4 << (critic.blocks + 1)
        for stage in (*critic.first, *critic.stages, gan):
            if stage.size < smallest:
                raise RecipeError(
                    f"size = {stage.size} is too small for a critic with blocks = "
                    f"{critic.blocks}, which needs {smallest}"
                )
        for stage in (*critic.first, *critic.stages):
            if len(stage.rates) != 1:
                raise RecipeError(
                    f"rates = {list(stage.rates)} of a critic: there must be 1 of them"
                )
            _check_split(stage, max(1, stage.batch // 2))


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
        if not isinstance(value, list) or not (endless or len(value) == len(arguments)):
            count = "" if endless else f" of {len(arguments)}"
            raise RecipeError(f"{key} must be a list{count}, not {value!r}")
        return tuple(_value(arguments[0], item, f"{key}[{i}]") for i, item in enumerate(value))
    options = (kind, *arguments)
    tables = [o for o in options if isinstance(o, type) and is_dataclass(o)]
    if tables:
        return _table(tables[0], value, key)
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise RecipeError(f"{key} must be {_NAMES[kind]}, not {value!r}")
    return value


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
