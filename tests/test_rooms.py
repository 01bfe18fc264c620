"""Imports point downward: what each room of the package may import, held by reading the source."""

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

import pytest

import vidcolor

PACKAGE = Path(vidcolor.__file__).parent

MAY_IMPORT = {
    "errors": set(),
    "prefetch": set(),
    "metrics": {"errors"},
    "models": {"errors"},
    "chroma": {"errors"},
    "media": {"errors"},
    "weights": {"models", "errors"},
    "inference": {"weights", "models", "chroma", "errors"},
    "resume": {"media", "errors"},
    "pipeline": {"inference", "chroma", "media", "prefetch", "errors"},
    "pieces": {"pipeline", "inference", "chroma", "media", "resume", "errors"},
    "settings": {"chroma", "media", "resume", "errors"},
    "arrays": {"pipeline", "inference", "chroma", "media", "errors"},
    "still": {"arrays", "inference", "media", "errors"},
    "control": {
        *("pipeline", "inference", "weights", "models", "chroma", "media"),
        *("resume", "shots", "errors"),
    },
    "shots": {"chroma", "media", "errors"},
    "film": {
        "shots",
        "pieces",
        "pipeline",
        "inference",
        "chroma",
        "media",
        "resume",
        "settings",
        "errors",
    },
    "bench": {
        *("film", "settings", "inference", "chroma", "media", "models", "resume", "errors"),
    },
    "batch": {"resume", "media", "errors"},
    "choices": {"batch", "inference", "chroma", "media", "resume", "settings", "errors"},
    "archive": {
        *("film", "pieces", "shots", "pipeline", "batch", "inference", "media", "resume"),
        *("settings", "weights", "errors"),
    },
    "preview": {"arrays", "inference", "chroma", "media", "errors"},
    "serve": {
        *("film", "batch", "still", "preview", "choices", "settings", "arrays", "pipeline"),
        *("inference", "chroma", "media", "resume", "weights", "errors"),
    },
    "nogan": {"metrics", "models", "chroma", "media", "weights", "inference", "errors"},
    "evaluate": {
        *("film", "arrays", "batch", "pipeline", "inference", "metrics", "models", "chroma"),
        *("media", "weights", "errors"),
    },
}
"""Only `cli` and the package's own front may import everything."""

ONLY_IN = {
    **{library: {"cli"} for library in ("click", "rich")},
    **{library: {"serve"} for library in ("fastapi", "starlette", "uvicorn", "pydantic")},
}
NEVER_IN = {"torch": {"media", "resume", "batch", "choices", "errors", "settings"}}


def rooms() -> list[str]:
    names = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in sources()}
    return sorted(names - {"__init__", "__main__", "cli"})


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(room: str) -> Iterator[tuple[Path, str]]:
    """(file, imported module) for every import of a room, inside functions too."""
    for path in sources():
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") != room:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                if node.module == "vidcolor":
                    yield from ((path, f"vidcolor.{name.name}") for name in node.names)
                else:
                    yield path, node.module


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_what_lies_below_it(room: str):
    allowed = MAY_IMPORT[room] | {room, "__version__"}
    for path, module in imports(room):
        if module.startswith("vidcolor."):
            assert module.split(".")[1] in allowed, f"{path} imports {module}"


@pytest.mark.parametrize("room", rooms())
def test_a_library_is_used_only_where_it_belongs(room: str):
    for path, module in imports(room):
        library = module.split(".")[0]
        assert room in ONLY_IN.get(library, {room}), f"{path} imports {module}"
        assert room not in NEVER_IN.get(library, set()), f"{path} imports {module}"


def test_every_package_is_installed():
    config = configparser.ConfigParser(interpolation=None)
    setup = Path(__file__).parents[1] / "setup.cfg"
    config.read_string(setup.read_text("utf-8"))
    listed = {name for name in config["options"]["packages"].split() if "._data" not in name}
    folders = {path.parent for path in PACKAGE.rglob("__init__.py")}
    assert listed == {".".join(path.relative_to(PACKAGE.parent).parts) for path in folders}
