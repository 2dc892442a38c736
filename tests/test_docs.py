"""The documentation: it builds as a site without a warning, and every link in it leads somewhere, on the forge and in the site."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import markdown
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from automl_phys import registry
from tools import site_links

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
                ROOT / "recipes/data/README.md", ROOT / "automl_phys/data/README.md"])
SKELETON = ["When to use it", "The recipe", "Its report explained", "What the numbers mean", "Pitfalls", "Literature"]
LARGEST_PICTURE = 150_000


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return tuple(one for token in parsed for one in (token, *(token.children or ())))


def links(page: Path) -> list[str]:
    """Where the links and pictures of a page lead."""
    found = [token.attrGet("href") or token.attrGet("src") for token in tokens(page) if token.type in {"link_open", "image"}]
    return [str(one) for one in found]


def headings(page: Path, level: str = "") -> list[str]:
    """The texts of a page's headings, without their marks."""
    inside, found = False, []
    for token in tokens(page):
        if token.type in {"heading_open", "heading_close"}:
            inside = token.type == "heading_open" and token.tag.startswith(level or "h")
        elif token.type == "inline" and inside:
            found.append("".join(child.content for child in token.children or ()))
    return found


@cache
def forge_anchors(page: Path) -> set[str]:
    """What a forge makes of a page's headings: small letters, hyphens for blanks, a number where it was there before."""
    seen: dict[str, int] = {}
    found = set()
    for heading in headings(page):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_on_the_forge(page: Path) -> None:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if parts.fragment:
            assert parts.fragment in forge_anchors(target), link


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_a_page_reads_the_same_on_the_forge_and_in_the_site(page: Path) -> None:
    """Python-Markdown wants a blank line before a list, CommonMark does not; bars in code end a cell on a forge only."""
    text = page.read_text(encoding="utf-8")
    forge = MarkdownIt("commonmark").enable("table").render(text)
    site = markdown.markdown(text, extensions=["tables", "attr_list", "pymdownx.superfences", "pymdownx.highlight"])
    for tag in ("li", "table", "tr", "td", "h2", "h3", "img", "strong"):
        assert len(re.findall(f"<{tag}[ >]", site)) == len(re.findall(f"<{tag}[ >]", forge)), tag


@pytest.mark.parametrize("task", registry.names("tasks"))
def test_every_task_has_a_page_of_the_same_build(task: str) -> None:
    page = DOCS / f"{task.replace('+', '-')}.md"
    assert headings(page, "h1")[0].startswith(f"{task}: ")
    assert headings(page, "h2") == SKELETON
    parts = dict(zip(SKELETON, re.split(r"^## .*$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:], strict=True))
    assert re.search(rf"```yaml\nrecipe: 1\ntask: {re.escape(task)}\n", parts["The recipe"])
    assert re.search(r"!\[.{20,}\]\(images/", parts["Its report explained"]), "no picture of a report"
    assert "|---|" in parts["Its report explained"]


def test_pictures_are_small_and_used() -> None:
    used = {(page.parent / link).resolve() for page in PAGES for link in links(page) if link.endswith(".png")}
    there = set(DOCS.glob("images/*"))
    assert there == used
    assert max(picture.stat().st_size for picture in there) < LARGEST_PICTURE


# ---------------------------------------------------------------- the site

class Page(HTMLParser):
    """The anchors of a page, where it leads, and what a browser would fetch to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {""}
        self.leads: set[str] = set()
        self.fetched: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.leads.add(given["href"])
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev"}:
            self.fetched.add(given["href"])
        if tag in {"script", "img", "iframe", "source"} and "src" in given:
            self.fetched.add(given["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The pages of the site, built as ``make docs`` does."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")
            if path.name != "404.html"}  # which stands at no place of its own, so its links begin at the site's address


def test_links_of_the_site_lead_somewhere(site: dict[Path, Page]) -> None:
    lost = []
    for path, page in site.items():
        for link in page.leads | page.fetched:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (target in site and unquote(parts.fragment) not in site[target].anchors):
                lost.append(f"{path.name}: {link}")
    assert not lost


def test_the_site_has_a_page_for_each_of_ours(site: dict[Path, Page]) -> None:
    assert {path.stem for path in site} == {page.stem for page in DOCS.glob("*.md")}


def test_the_site_fetches_nothing_from_the_network(site: dict[Path, Page]) -> None:
    assert not {link for page in site.values() for link in page.fetched if urlsplit(link).scheme or link.startswith("//")}


def test_links_out_of_the_docs_go_to_the_repository_or_are_text() -> None:
    page = "See [the recipe](../recipes/x.yaml) and [data](data.md).\n\n```\n[a](../b)\n```\n"
    assert site_links.rewritten(page, "") == page.replace("[the recipe](../recipes/x.yaml)", "the recipe")
    there = site_links.rewritten(page, "https://forge.example/automl-phys")
    assert "[the recipe](https://forge.example/automl-phys/blob/HEAD/recipes/x.yaml)" in there
    assert "[a](../b)" in there


def test_the_repository_is_the_one_of_the_metadata(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\nname = "x"\n')
    assert site_links.repository(file) == ""
    file.write_text('[project]\nname = "x"\n[project.urls]\nRepository = "https://forge.example/x/"\n')
    assert site_links.repository(file) == "https://forge.example/x"
