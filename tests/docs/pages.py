"""The pages that users read, the code on them, and the classes that they must name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from airflow_provider_salesblink.provider_info import get_provider_info
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]

_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A block of code: fenced, with the language it names, or indented, without a language."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """Return the blocks of a page in order; with a ``language``, only those that name it."""
    found = [
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for token in _MARKDOWN.parse(page.read_text())
        if token.type in ("fence", "code_block") and token.map
    ]
    return [block for block in found if language in (None, block.language)]


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and images."""
    tokens = [child for token in _MARKDOWN.parse(page.read_text()) for child in token.children or ()]
    return [str(token.attrs[name]) for token in tokens for name in ("href", "src") if name in token.attrs]


def headings(page: Path) -> list[str]:
    """Return the headings of a page as text."""
    tokens = _MARKDOWN.parse(page.read_text())
    return [text.content for opened, text in pairwise(tokens) if opened.type == "heading_open"]


def classes_of(kind: str) -> set[str]:
    """Return the names of the public classes that Airflow lists as ``kind``, such as ``operators``."""
    modules = [name for listed in get_provider_info()[kind] for name in listed["python-modules"]]
    return {name for module in modules for name in public_classes(module)}


def public_classes(module: str) -> set[str]:
    """Return the names of the public classes that a module defines."""
    return {
        name
        for name, thing in vars(import_module(module)).items()
        if isinstance(thing, type) and thing.__module__ == module and not name.startswith("_")
    }
