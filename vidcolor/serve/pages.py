"""The page's own files, and the API's documentation: read once, served from memory by name."""

import html
import json
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from starlette.responses import HTMLResponse

from vidcolor.serve.uploads import Refusal

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".json": "application/json",
}
FRESH = {"Cache-Control": "no-cache"}

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: auto; padding: 1rem }
pre { overflow: auto; padding: .6rem; background: #8882; border-radius: .3rem }
summary { cursor: pointer; font-family: ui-monospace, monospace }
details { margin: .4rem 0 }
h2 { margin-top: 2rem }
"""


def page_files() -> dict[str, tuple[bytes, str]]:
    """(content, type) of every file of the page, by name."""
    return {
        file.name: (file.read_bytes(), TYPES[PurePath(file.name).suffix])
        for file in (files("vidcolor.serve") / "page").iterdir()
        if file.is_file() and PurePath(file.name).suffix in TYPES
    }


def router(app: FastAPI) -> APIRouter:
    """/, /static/NAME and /docs."""
    pages = APIRouter(include_in_schema=False)
    page = page_files()

    def answer(name: str) -> Response:
        if name not in page:
            raise Refusal(404, "there is no such page")
        content, kind = page[name]
        return Response(content, media_type=kind, headers=FRESH)

    @pages.api_route("/", methods=["GET", "HEAD"])
    async def index() -> Response:
        return answer("index.html")

    @pages.api_route("/static/{name}", methods=["GET", "HEAD"])
    async def static(name: str) -> Response:
        return answer(name)

    @pages.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(documentation(app.openapi()), headers=FRESH)

    @pages.get("/docs.css")
    async def docs_style() -> Response:
        return Response(STYLE, media_type=TYPES[".css"], headers=FRESH)

    return pages


def documentation(schema: dict[str, Any]) -> str:
    """The OpenAPI document as a page that needs no script and nothing from elsewhere."""
    parts: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            parts.setdefault(tag, []).append(_operation(method.upper(), path, operation, schema))
    body = "".join(f"<h2>{_text(tag)}</h2>{''.join(each)}" for tag, each in parts.items())
    title = _text(f"{schema['info']['title']} {schema['info']['version']}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{title}</title><link rel="stylesheet" href="/docs.css"></head><body>'
        f"<h1>{title}</h1><p>{_text(schema['info'].get('description', ''))}</p>"
        f'<p><a href="/openapi.json">openapi.json</a></p>{body}</body></html>'
    )


def _operation(method: str, path: str, operation: dict[str, Any], schema: dict[str, Any]) -> str:
    lines = [f"<p>{_text(operation.get('description', ''))}</p>"]
    for each in operation.get("parameters", []):
        lines.append(f"<p><code>{_text(each['name'])}</code> in the {_text(each['in'])}</p>")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        lines.append(f"<p>Sent, {_text(kind)}</p>{_example(_sent(content, schema))}")
    for status, answer in operation.get("responses", {}).items():
        lines.append(f"<p>{_text(status)}: {_text(answer.get('description', ''))}</p>")
        if status.startswith("2"):
            lines += [_example(each.get("example")) for each in answer.get("content", {}).values()]
    return f"<details><summary>{method} {_text(path)}</summary>{''.join(lines)}</details>"


def _sent(content: dict[str, Any], schema: dict[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    model = schema.get("components", {}).get("schemas", {}).get(name, {})
    if "examples" in model:
        return model["examples"][0]
    return {
        field: (about.get("examples") or [None])[0]
        for field, about in model.get("properties", {}).items()
    }


def _example(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return f"<pre>{_text(text)}</pre>"


def _text(value: object) -> str:
    return html.escape(str(value))
