"""Makes docs/api.md from the signatures and docstrings of the public names.

Run it with `python tests/make_api.py` after a change to them; a test compares the result.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import vidcolor

DOCS = Path(__file__).parents[1] / "docs" / "api.md"

SECTIONS = {
    "Coloring": (
        *("Colorizer", "colorize_film", "colorize_image", "colorize_array", "colorize_frames"),
        "Report",
    ),
    "Settings": (
        *("RenderSettings", "FilmSettings", "EncodeSettings", "SmoothSettings", "PieceSettings"),
    ),
    "Models": ("load_generator", "Generator"),
    "Errors": ("VidcolorError", "MediaError", "WeightsError", "DeviceError", "RecipeError"),
}

HEAD = """# Python API

<!-- made by tests/make_api.py from the docstrings -->

"""

Definition = ast.ClassDef | ast.FunctionDef


def api() -> str:
    """The whole page."""
    parts = [HEAD, vidcolor.__doc__ or ""]
    for title, names in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        for name in names:
            parts += describe(name)
    return "".join(parts)


def describe(name: str) -> Iterator[str]:
    """A heading, the signature, the docstring, and the fields or methods of a class."""
    node = definition(name)
    yield f"\n### {name}\n\n"
    if isinstance(node, ast.FunctionDef):
        yield code(signature(node))
        yield reflow(ast.get_docstring(node) or "")
        return
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    public = [method for method in methods if not method.name.startswith("_")]
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    if init := next((method for method in methods if method.name == "__init__"), None):
        yield code(signature(init, name))
    yield reflow(ast.get_docstring(node) or "")
    if fields:
        yield "\n"
    for field in fields:
        yield describe_field(node, field)
    for method in public:
        marks = {ast.unparse(mark) for mark in method.decorator_list}
        yield f"\n#### {name}.{method.name}\n\n"
        if "property" in marks or "cached_property" in marks:
            yield code(f"{method.name}: {ast.unparse(method.returns or ast.Constant(None))}")
        else:
            yield code(("@classmethod\n" if "classmethod" in marks else "") + signature(method))
        yield reflow(ast.get_docstring(method) or "")


def definition(name: str) -> Definition:
    """Where a public name is defined."""
    module = importlib.import_module(getattr(vidcolor, name).__module__)
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, Definition) and node.name == name:
            return node
    raise LookupError(name)


def describe_field(owner: ast.ClassDef, field: ast.AnnAssign) -> str:
    """A line of a list; the docstring of a field is the expression after it."""
    following = owner.body[owner.body.index(field) + 1 :][:1]
    words = ""
    if following and isinstance(following[0], ast.Expr):
        words = " ".join(ast.literal_eval(following[0].value).split())
    name = ast.unparse(field.target)
    default = ""
    if field.value is not None and "default_factory" not in ast.unparse(field.value):
        default = f" = {ast.unparse(field.value)}"
    entry = f"- `{name}: {ast.unparse(field.annotation)}{default}`"
    return f"{entry}: {words}\n" if words else f"{entry}\n"


def signature(node: ast.FunctionDef, name: str | None = None) -> str:
    """As it would be called, without `self`."""
    arguments = node.args
    listed = [part for part in arguments.args if part.arg not in ("self", "cls")]
    defaults = [None] * (len(listed) - len(arguments.defaults)) + list(arguments.defaults)
    parts = [argument(*pair) for pair in zip(listed, defaults, strict=True)]
    if arguments.kwonlyargs:
        pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        parts += ["*", *(argument(*pair) for pair in pairs)]
    returns = "" if name or node.returns is None else f" -> {ast.unparse(node.returns)}"
    line = f"{name or node.name}({', '.join(parts)}){returns}"
    if len(line) <= 88:
        return line
    inner = "".join(f"    {part},\n" for part in parts)
    return f"{name or node.name}(\n{inner}){returns}"


def argument(part: ast.arg, default: ast.expr | None) -> str:
    annotation = f": {ast.unparse(part.annotation)}" if part.annotation else ""
    return f"{part.arg}{annotation}" + (f" = {ast.unparse(default)}" if default else "")


def code(text: str) -> str:
    return f"```python\n{text}\n```\n\n"


def reflow(docstring: str) -> str:
    """A docstring as Markdown: each of its "name: what" lines begins a paragraph of its own."""
    lines: list[str] = []
    for line in textwrap.dedent(docstring).strip().splitlines():
        starts_entry = bool(line) and line.split(":")[0].replace(", ", "").isidentifier()
        if lines and (starts_entry or line.startswith(("->", "Raises "))) and lines[-1]:
            lines.append("")
        lines.append(line.replace("->", "→") if line.startswith("->") else line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCS.write_text(api(), encoding="utf-8")
