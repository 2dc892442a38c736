"""A hook of MkDocs: links of the pages to files outside of ``docs/`` become links to the repository.

On the forge ``../recipes/x.yaml`` leads to the file; the site has no such file. Where ``pyproject.toml`` names a
repository the link goes there, else its text stays without a link. Code blocks are left as they are.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
OUTSIDE = re.compile(r"\[([^\]]*)\]\(\.\./([^)\s]*)\)")


def repository(pyproject: Path = ROOT / "pyproject.toml") -> str:
    """The address of the repository as the package's metadata have it, without a slash at its end; empty if none."""
    urls: dict[str, str] = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"].get("urls", {})
    return urls.get("Repository", "").rstrip("/")


def rewritten(page: str, address: str) -> str:
    """A page's Markdown with links out of ``docs/`` led to ``address``, or without them where that is empty."""
    def link(found: re.Match[str]) -> str:
        text, path = found.groups()
        return f"[{text}]({address}/blob/HEAD/{path})" if address else text

    parts = FENCED.split(page)
    return "".join(part if part.startswith("```") else OUTSIDE.sub(link, part) for part in parts)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for each page."""
    return rewritten(markdown, repository())
