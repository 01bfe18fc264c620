"""The tables of a recipe, as dataclasses with their defaults and allowed ranges."""

from dataclasses import dataclass, field
from typing import Annotated, Literal


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
    """What every network's settings have; `registry` knows the subclass of each."""

    architecture: str
    """A name in `registry.TRAINERS`."""
    encoder: str = "random"
    """Initial weights of the encoder, trained on ImageNet; which there are depends on the
    network."""
    ema: Annotated[float, Between(0, 0.99999)] = 0.0
    """Decay of the averaged weights that are scored and exported; 0 takes the last ones."""


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
    """Highest learning rate: one for all, or one for each group of layers of the network, the
    earliest first: of deep and wide early encoder, late encoder and the rest; of lite with a
    MobileNet its encoder and the rest."""
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
    frozen: Annotated[int, Between(0, 64)] = 0
    """Groups of layers, counted from the input, that stay as they are, with their norms'
    statistics; unfreezes gradually where it falls from stage to stage."""
    augment: Augment | None = None
    """In place of the recipe's."""
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
    """The critic's pretraining; `registry` knows the subclass with the settings of each network."""

    architecture: str = "deoldify"
    """A name in `registry.CRITICS`."""
    augment: Augment = field(default_factory=Augment)
    first: tuple[Stage, ...] = ()
    """Stages of the first cycle only."""
    stages: tuple[Stage, ...] = ()
    """None: the critic begins the GAN phase untrained."""


@dataclass(frozen=True, kw_only=True)
class Gan(Stage):
    """Both networks in turn."""

    loss: Literal["bce", "lsgan", "hinge", "wasserstein"] = "bce"
    """The adversarial loss, see `adversarial`."""
    penalty: Weight = 0.0
    """Of the critic's gradient (Gulrajani et al. 2017); Wasserstein needs it or spectral norm."""
    real_label: Annotated[float, Between(0.5, 1)] = 1.0
    """What the critic is to say about photos: one-sided label smoothing; not of Wasserstein."""
    rhythm: Literal["threshold", "steps"] = "threshold"
    """"threshold" is NoGAN's, and steps count every batch, of either network. "steps": each step is
    `critic_steps` batches of the critic and one of the generator; an epoch is one of the critic."""
    threshold: Annotated[float, Between(0, 10)] = 0.65
    """The generator gets one batch after each critic batch whose loss is below this."""
    critic_steps: Annotated[int, Between(1, 100)] = 1
    critic_rate: Annotated[float, Between(0.01, 1000)] = 5.0
    """Times the generator's learning rate."""
    adversarial: Weight = 1.0
    content: Weight = 1.0
    features: Literal["critic", "fixed"] = "critic"
    """What the score's Frechet distance compares: features of the critic as it is when the phase
    begins, or of the built-in model's encoder, which never change."""
    score_every: Count = 100
    """Steps between scores on the validation photos."""
    choose: Literal["best", "last"] = "best"
    """The checkpoint of the best score, see `inflection`, or the one after the last step."""
    patience: Count = 5
    """Scores in a row without improvement after which the phase ends, where the best is chosen."""
