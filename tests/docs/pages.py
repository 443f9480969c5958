"""The pages that users read, and the code on them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]

_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A block of code: fenced, with the language that it names, or indented, with none."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The blocks of a page in order; with a ``language``, only those that name it."""
    found = [
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for token in _MARKDOWN.parse(page.read_text())
        if token.type in ("fence", "code_block") and token.map
    ]
    return [block for block in found if language in (None, block.language)]


def links(page: Path) -> list[str]:
    """Where the links and pictures of a page lead."""
    tokens = [child for token in _MARKDOWN.parse(page.read_text()) for child in token.children or ()]
    return [str(token.attrs[name]) for token in tokens for name in ("href", "src") if name in token.attrs]


def headings(page: Path) -> list[str]:
    """The headings of a page, as text."""
    tokens = _MARKDOWN.parse(page.read_text())
    return [text.content for opened, text in pairwise(tokens) if opened.type == "heading_open"]
