"""Links on the pages lead somewhere, in the repository. ``make docs`` looks at those of the built site."""

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
def test_links_lead_somewhere(page: Path) -> None:
    lost = [link for link in links(page) if not _leads_somewhere(page, link)]

    assert not lost


def _leads_somewhere(page: Path, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme:  # nobody is asked: the tests need no network
        return parts.scheme == "mailto" or (parts.scheme == "https" and "." in parts.netloc)
    target = page.parent / parts.path if parts.path else page
    return target.exists() and (not parts.fragment or parts.fragment in _anchors(target))


def _anchors(page: Path) -> set[str]:
    named = re.findall(r'<a name="([^"]+)">', page.read_text())
    return {*named, *(_as_anchor(heading) for heading in headings(page))}


def _as_anchor(heading: str) -> str:
    """As GitHub makes them, and MyST after it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_of_the_folder_can_be_found_from_the_readme_or_the_index() -> None:
    """What no list of contents names, Sphinx itself complains of."""
    index = (DOCS / "index.md").read_text() + (DOCS / "reference.md").read_text()

    for page in DOCS.glob("*.md"):
        assert page.stem == "index" or re.search(rf"^(.*<)?{page.stem}>?$", index, re.MULTILINE), page.name
