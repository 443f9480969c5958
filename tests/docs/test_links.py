"""The links of the pages have targets in the repository. ``make docs`` checks the links of the built site."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import DOCS, PAGES, headings, links

if TYPE_CHECKING:
    from pathlib import Path


def test_there_are_links() -> None:
    assert sum(len(links(page)) for page in PAGES) > 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_has_a_target(page: Path) -> None:
    broken = [link for link in links(page) if not _has_target(page, link)]

    assert not broken


def _has_target(page: Path, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme:  # only the form: the tests need no network
        return parts.scheme == "mailto" or (parts.scheme == "https" and "." in parts.netloc)
    target = page.parent / parts.path if parts.path else page
    return target.exists() and (not parts.fragment or parts.fragment in _anchors(target))


def _anchors(page: Path) -> set[str]:
    named = re.findall(r'<a name="([^"]+)">', page.read_text())
    return {*named, *(_as_anchor(heading) for heading in headings(page))}


def _as_anchor(heading: str) -> str:
    """Return the anchor that GitHub and MyST make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_is_in_a_table_of_contents_and_linked_from_the_index() -> None:
    index = DOCS / "index.md"
    pages = {page.name for page in DOCS.glob("*.md")} - {index.name}

    assert pages <= set(links(index))
    for page in pages:
        assert re.search(rf"^{page.removesuffix('.md')}$", index.read_text(), re.MULTILINE), page
