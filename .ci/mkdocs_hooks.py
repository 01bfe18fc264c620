"""What the documentation site needs beyond docs/: the README as its front page, and links out.

The pages are read in the repository as well, where a link may lead out of docs/. On the site such
links lead to the repository; one whose target does not exist stops the build.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=readme))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    folder = "" if page.file.src_uri == "index.md" else "docs"

    def rewrite(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri}: {link[1]} leads nowhere")
        inside = path.removeprefix("docs/")
        if inside != path and files.get_file_from_path(inside):
            return posixpath.relpath(inside, posixpath.dirname(page.file.src_uri) or ".")
        return f"{config.repo_url.rstrip('/')}/blob/main/{path}"

    return LINK.sub(rewrite, markdown)
