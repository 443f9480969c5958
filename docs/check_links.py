"""Whether each link of the built site leads somewhere in it: ``python docs/check_links.py SITE``.

Addresses elsewhere are looked at for their form only: building the site needs no network.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Links(HTMLParser):
    """The links of a page, and the places in it that links may lead to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag links to, and what it is called."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.add(value)
            elif value and (name == "id" or (tag, name) == ("a", "name")):
                self.places.add(value)


read = cache(Links)


def wrong(page: Path, link: str) -> bool:
    """Whether a link on a page leads nowhere."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return parts.scheme not in ("data", "mailto") and not (parts.scheme == "https" and "." in parts.netloc)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return True
    return bool(parts.fragment) and target.suffix == ".html" and unquote(parts.fragment) not in read(target).places


def main(site: Path) -> int:
    """Print what is wrong; how many links that are."""
    pages = sorted(site.resolve().rglob("*.html"))
    found = [
        (page.relative_to(site.resolve()), link) for page in pages for link in read(page).links if wrong(page, link)
    ]
    for page, link in found:
        print(f"{page}: {link} leads nowhere.", file=sys.stderr)
    print(f"{len(pages)} pages, {sum(len(read(page).links) for page in pages)} links, {len(found)} of them wrong.")
    return len(found) or not pages


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1])), 1))
