"""The documentation: links and paths exist, pages can be found, pictures are current."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "examples", "csrc")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
)
DIAGRAMS = sorted((ROOT / "docs" / "pictures").glob("*.dot"))

# CHANGELOG.md also names paths of earlier versions.
CURRENT_PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]

# A path in backticks, below one of the repository's folders and without a placeholder.
PATH = re.compile(r"`((?:ascend_ops|benchmarks|csrc|docs|examples|op_builder|tests)/[\w./-]*)`")
CREATED_BY_A_BUILD = {"op_builder/prebuilt"}


def _named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _prose(page: Path) -> str:
    """Return the page without its code blocks, in which brackets do not mark links."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def _links(page: Path) -> Iterator[tuple[Path, str]]:
    """Each relative link: the file it names and its anchor, "" if it has none."""
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (page.parent / path if path else page), anchor


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_relative_links_resolve(page: Path) -> None:
    for file, anchor in _links(page):
        assert file.exists(), f"{_named(page)} links to {file}, which does not exist"
        if anchor:
            assert anchor in _anchors(file), f"{_named(page)} links to #{anchor} of {file}"


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=_named)
def test_paths_in_the_text_exist(page: Path) -> None:
    for path in PATH.findall(_prose(page)):
        if path.rstrip("/") not in CREATED_BY_A_BUILD:
            assert (ROOT / path).exists(), f"{_named(page)} names {path}, which does not exist"


def test_every_page_can_be_reached_from_the_readme() -> None:
    found: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in found:
            found.add(page)
            targets = (file.resolve() for file, _ in _links(page))
            waiting += [file for file in targets if file.suffix == ".md"]
    pages = {*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")}
    assert pages - found == set()


@pytest.mark.parametrize("source", DIAGRAMS, ids=_named)
def test_each_picture_was_drawn_from_its_current_source(source: Path) -> None:
    picture = source.with_suffix(".svg").read_text(encoding="utf-8")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert f"<!-- sha256 of the source: {digest} -->" in picture, "run `make pictures`"
    assert '<polygon fill="white"' in picture, "a picture needs a background in dark mode"
    drawn_on = {file.resolve() for page in PAGES for file, _ in _links(page)}
    assert source.with_suffix(".svg") in drawn_on
