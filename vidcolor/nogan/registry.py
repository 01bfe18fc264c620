"""Networks and critics by the names that recipes use: one line for each."""

from vidcolor.errors import RecipeError
from vidcolor.nogan.critic_kinds import CriticKind, DeOldifyCritic, PatchCriticKind
from vidcolor.nogan.generator_trainer import GeneratorTrainer
from vidcolor.nogan.lab_trainers import Pix2PixTrainer, ResNetBinsTrainer
from vidcolor.nogan.lite_trainer import LiteTrainer
from vidcolor.nogan.sagan_trainer import SaganTrainer
from vidcolor.nogan.unet_trainer import DeepTrainer, WideTrainer

TRAINERS: dict[str, type[GeneratorTrainer]] = {
    "lite": LiteTrainer,
    "deep": DeepTrainer,
    "wide": WideTrainer,
    "sagan": SaganTrainer,
    "pix2pix": Pix2PixTrainer,
    "resnet-bins": ResNetBinsTrainer,
}
"""How a network is built, fed, shown, judged and exported. `vidcolor.models.registry` has the
networks themselves, which finished files are recognized by."""

CRITICS: dict[str, CriticKind] = {
    "deoldify": DeOldifyCritic(),
    "patch": PatchCriticKind(),
}


def trainer_class(name: str) -> type[GeneratorTrainer]:
    """Raises RecipeError for a name that is not registered."""
    if name not in TRAINERS:
        raise RecipeError(f"generator.architecture = {name!r} is none of {_names(TRAINERS)}")
    return TRAINERS[name]


def critic_kind(name: str) -> CriticKind:
    """Raises RecipeError for a name that is not registered."""
    if name not in CRITICS:
        raise RecipeError(f"critic.architecture = {name!r} is none of {_names(CRITICS)}")
    return CRITICS[name]


def _names(table: dict) -> str:
    return ", ".join(map(repr, table))
