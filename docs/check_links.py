"""Check that each link of the built site has a target: ``python docs/check_links.py SITE``.

Of links to other sites only the form is checked, so this needs no network.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Links(HTMLParser):
    """The links of a page, and the anchors that links may lead to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the links and the anchors of a tag."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.add(value)
            elif value and (name == "id" or (tag, name) == ("a", "name")):
                self.anchors.add(value)


read = cache(Links)


def is_broken(page: Path, link: str) -> bool:
    """Return whether a link on a page has no target."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return parts.scheme not in ("data", "mailto") and not (parts.scheme == "https" and "." in parts.netloc)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return True
    return bool(parts.fragment) and target.suffix == ".html" and unquote(parts.fragment) not in read(target).anchors


def main(site: Path) -> int:
    """Print the broken links, and return their number."""
    pages = sorted(site.resolve().rglob("*.html"))
    found = [
        (page.relative_to(site.resolve()), link) for page in pages for link in read(page).links if is_broken(page, link)
    ]
    for page, link in found:
        print(f"{page}: {link} has no target.", file=sys.stderr)
    print(f"{len(pages)} pages, {sum(len(read(page).links) for page in pages)} links, {len(found)} of them broken.")
    return len(found) or not pages


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1])), 1))
