"""Recipes by the name or path that `vidcolor train` is given."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from vidcolor.cli.types import PathName, name_or_file

PACKAGE = Path(__file__).parents[1]


def bundled_recipes() -> dict[str, Path]:
    """The recipes that come with vidcolor, by name."""
    inside = PACKAGE / "_data" / "training"
    folder = inside if inside.is_dir() else PACKAGE.parent / "training"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


class RecipeName(PathName):
    """The path of a recipe, or the name of one that comes with vidcolor."""

    name = "recipe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        bundled = bundled_recipes()
        if path.is_file():
            return path
        if str(path) not in bundled:
            self.fail(
                f"there is no recipe or file called '{path}'; the recipes that come with "
                f"vidcolor are {', '.join(bundled)}",
                param,
                ctx,
            )
        return bundled[str(path)]

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return name_or_file(bundled_recipes(), incomplete)
