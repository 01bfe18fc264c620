"""What models there are: their files, sizes, hashes, origin and mirrors."""

from dataclasses import dataclass
from typing import Literal

from vidcolor.errors import WeightsError


@dataclass(frozen=True, kw_only=True)
class Model:
    """A published model. Fields are None or empty where the file comes with vidcolor."""

    name: str
    file: str
    architecture: Literal["deep", "wide", "lite"]
    render_factor: int
    """Default side of the square that the generator computes on, in units of 16 pixels."""
    origin: str
    license: str
    size: int | None = None
    """Bytes of the file."""
    sha256: str | None = None
    """64 lower-case hexadecimal digits."""
    mirrors: tuple[str, ...] = ()
    """Where to download the file, best first. The hash decides, so a mirror need not be trusted."""


def _hub(repository: str, revision: str, file: str) -> str:
    return f"https://huggingface.co/{repository}/resolve/{revision}/{file}"


def _deepai(file: str) -> str:
    return f"https://data.deepai.org/deoldify/{file}"


# A revision that can never change; it holds all three generators.
_PINNED = ("spensercai/DeOldify", "448956a51080c3e5fb29a4e0f3e09457afd94eb0")

LITE = Model(
    name="lite",
    file="lite.safetensors",
    architecture="lite",
    render_factor=12,
    origin="vidcolor",
    license="MIT",
    sha256="c2759c2ae0ece84421c63c606bb5fe67d7f29e7fb639eee9dacf40290e4f2857",
)

VIDEO = Model(
    name="video",
    file="ColorizeVideo_gen.pth",
    architecture="wide",
    render_factor=21,
    origin="DeOldify",
    license="MIT",
    size=874_066_230,
    sha256="e3d98bb6a222354c79f95485c2f078a89dc724e9183662506d9e0f5aafac83ad",
    mirrors=(
        _hub(*_PINNED, "ColorizeVideo_gen.pth"),
        _deepai("ColorizeVideo_gen.pth"),
        _hub("thookham/DeOldify", "main", "ColorizeVideo_gen.pth"),
    ),
)

STABLE = Model(
    name="stable",
    file="ColorizeStable_gen.pth",
    architecture="wide",
    render_factor=35,
    origin="DeOldify",
    license="MIT",
    size=874_066_230,
    sha256="ca9cd7f43fb8b222c9a70f7b292e305a000694b0ff9d2ae4a6747b1a2e1ee5af",
    mirrors=(
        _hub(*_PINNED, "ColorizeStable_gen.pth"),
        "https://www.dropbox.com/s/axsd2g85uyixaho/ColorizeStable_gen.pth?dl=1",
        _hub("databuzzword/deoldify-stable", "main", "ColorizeStable_gen.pth"),
    ),
)

ARTISTIC = Model(
    name="artistic",
    file="ColorizeArtistic_gen.pth",
    architecture="deep",
    render_factor=35,
    origin="DeOldify",
    license="MIT",
    size=255_144_681,
    sha256="3f750246fa220529323b85a8905f9b49c0e5d427099185334d048fb5b5e22477",
    mirrors=(
        _hub(*_PINNED, "ColorizeArtistic_gen.pth"),
        _deepai("ColorizeArtistic_gen.pth"),
        _hub("databuzzword/deoldify-artistic", "main", "ColorizeArtistic_gen.pth"),
    ),
)

MODELS = {model.name: model for model in (LITE, VIDEO, STABLE, ARTISTIC)}


def lookup(name: str) -> Model:
    """The model of that name; WeightsError, with the known names, if there is none."""
    if name not in MODELS:
        raise WeightsError(
            f"there is no model or file called '{name}': the models are {', '.join(MODELS)}; "
            "the path of a .pth or .safetensors file works too"
        )
    return MODELS[name]
