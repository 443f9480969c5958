"""Read long answers of the API v1 page by page.

The API has four ways to ask for a page; each has a paginator here. The reader does not believe a total: the last page
is the one that is not full. The paginators ask for no more than the documented maximum, because the API silently
returns fewer items than a larger limit asks for.

Items may move between two requests, when others are added or removed before them. So each page of the first two
paginators starts with the last item of the page before it. If it starts with an unknown item, items were removed, and
others may have moved to a page that was read already: the reader goes back. Pages by number cannot overlap. There an
added item is noticed, because another one repeats; a removed one is not. Their resources are logs, which only grow.
Pages by number are also read to their end from a server whose maximum is lower than documented.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.v1 import decoding

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from airflow_provider_salesblink.client.requestor import Requestor

log = logging.getLogger(__name__)

Item = TypeVar("Item")

_PATIENCE = 5
"""Pages in a row that may bring nothing new before the reader gives up."""
_LOWER_MAXIMA = frozenset({10, 20, 25, 50})
"""Sizes of a first page that may be a maximum of the server, and not all that there is."""


@dataclass(frozen=True)
class Window:
    """The items that one page has: ``size`` of them, from the position ``start``."""

    start: int
    size: int


@dataclass(frozen=True)
class Paginator(ABC):
    """Says how to ask for a page.

    :param limit: items to ask for.
    """

    limit: int
    overlaps: ClassVar[bool] = False
    """Whether a page may start at any position, so that it can overlap the page before it."""

    def window(self, position: int) -> Window:
        """Return the window of the page that contains ``position`` and extends furthest."""
        return Window(position, self.limit)

    @abstractmethod
    def query(self, window: Window) -> dict[str, str]:
        """Return the query that asks for a page."""


class RecordOffset(Paginator):
    """``limit`` and ``skip``, where ``skip`` counts items."""

    overlaps = True

    def query(self, window: Window) -> dict[str, str]:
        """Return the query that asks for a page."""
        return {"limit": str(window.size), "skip": str(window.start)}


@dataclass(frozen=True)
class BlocklistOffset(RecordOffset):
    """The same, where ``skip`` must be a multiple of ``limit``. Pages overlap because their limits differ a little."""

    limit: int = 100

    def window(self, position: int) -> Window:
        """Return the window that contains ``position`` and extends furthest."""
        sizes = range(1, self.limit + 1)
        size = max(sizes, key=lambda each: position // each * each + each)
        return Window(position // size * size, size)


class PageInSkip(Paginator):
    """``limit`` and ``skip``, where ``skip`` is the page's number, from 0."""

    def query(self, window: Window) -> dict[str, str]:
        """Return the query that asks for a page."""
        return {"limit": str(window.size), "skip": str(window.start // window.size)}


class PageNumber(Paginator):
    """``per_page`` and ``page``, which is the page's number, from 1."""

    def query(self, window: Window) -> dict[str, str]:
        """Return the query that asks for a page."""
        return {"per_page": str(window.size), "page": str(window.start // window.size + 1)}


def each_item(
    fetch: Callable[[dict[str, str]], list[Item]],
    paginator: Paginator,
    key: Callable[[Item], Hashable | None],
    what: str,
    advice: str = "",
    on_move: Callable[[], None] | None = None,
) -> Iterator[Item]:
    """Yield the items of all pages, each once. Asks for a page only when the caller needs its first item.

    :param fetch: returns the items of the page that a query asks for.
    :param key: returns what identifies an item; None if nothing does. An item without a key is always yielded.
    :param what: the items' name in the warning.
    :param advice: a sentence to append to the warning.
    :param on_move: called once if items moved between two pages, so that some may be missing; None logs a warning.
    """
    reading = _Reading(paginator, key, on_move or partial(_warn, what, advice), what)
    while not reading.is_over:
        window = reading.next_window()
        yield from reading.new_items(window, fetch(paginator.query(window)))


def each_of(
    requestor: Requestor,
    *parts: str,
    paginator: Paginator,
    what: str,
    query: Mapping[str, str] | None = None,
    decode: Callable[[object], list[decoding.Json]] = decoding.items,
    key: Callable[[decoding.Json], Hashable | None] = decoding.text_id,
    on_move: Callable[[], None] | None = None,
) -> Iterator[decoding.Json]:
    """Yield the items of all pages of a path, as :func:`each_item` does.

    :param query: what the query has besides the page.
    :param decode: returns the items of an answer's body.
    """

    def fetch(page: dict[str, str]) -> list[decoding.Json]:
        return requestor.read(*parts, query={**(query or {}), **page}).decoded(decode)

    return each_item(fetch, paginator, key, what, on_move=on_move)


def _warn(what: str, advice: str) -> None:
    message = (
        "While the client read %s, items were added or removed, and others moved between pages. "
        "Some may be missing. Read them again for a complete list.%s"
    )
    log.warning(message, what, advice)


class _Reading(Generic[Item]):
    """How far one reading has come. Of the items it keeps only the keys."""

    def __init__(
        self, paginator: Paginator, key: Callable[[Item], Hashable | None], on_move: Callable[[], None], what: str
    ) -> None:
        self._paginator = paginator
        self._key = key
        self._on_move = on_move
        self._what = what
        self._known: set[Hashable] = set()
        self._last_page: set[Hashable | None] = set()
        self._last_items: list[Item] = []
        self._position = 0
        self._end = 0
        self._full = 0
        self._idle = 0
        self._has_moved = False
        self.is_over = False

    def next_window(self) -> Window:
        """Return the window to read next."""
        return self._paginator.window(self._position)

    def new_items(self, window: Window, items: list[Item]) -> list[Item]:
        """Return those items of a page that are new, and move on: to the next page, or back."""
        keys = [self._key(item) for item in items]
        self._check_that_it_moves(items, keys)
        self._check_that_nothing_moved(window, keys)
        if self._has_gap(window, keys):
            self._go_back(window)
            return []
        new = [item for item, key in zip(items, keys, strict=True) if self._is_new(key)]
        self._move_on(window, keys, has_new=bool(new))
        return new

    def _check_that_it_moves(self, items: list[Item], keys: list[Hashable | None]) -> None:
        """Raise an error if a page of items without keys repeats: nothing else would end the reading."""
        is_same = None in keys and len(items) > 1 and items == self._last_items
        self._last_items = items
        if is_same:
            raise UnreadableResponseError(
                f"SalesBlink returned the same page of {self._what} twice, so it does not page as the client asked. "
                "Read it without paging, or with another kind of paging."
            )

    def _go_back(self, window: Window) -> None:
        self._idle += 1
        # Half a page at first, so that the other half brings new items even if more are removed meanwhile.
        self._position = max(0, window.start - self._idle * window.size // 2 - 1)
        # The page there may well be the same as the last one.
        self._last_page = set()

    def _has_gap(self, window: Window, keys: list[Hashable | None]) -> bool:
        """Return whether the page does not continue what is known. After many such pages, it counts as if it did."""
        is_expected = window.start < self._end and window.start > 0 and self._idle < _PATIENCE
        return is_expected and not (keys and keys[0] in self._known)

    def _is_new(self, key: Hashable | None) -> bool:
        if key is None:
            return True
        is_new = key not in self._known
        self._known.add(key)
        return is_new

    def _move_on(self, window: Window, keys: list[Hashable | None], *, has_new: bool) -> None:
        self._idle = 0 if has_new else self._idle + 1
        stands_still = not has_new and (self._last_page.issuperset(keys) or self._idle > _PATIENCE)
        self.is_over = len(keys) != self._full_size(window, len(keys)) or stands_still
        self._last_page = set(keys)
        self._end = window.start + window.size
        # An item without a key cannot be recognized when a page repeats it.
        self._position = self._end - (self._paginator.overlaps and None not in keys)

    def _full_size(self, window: Window, found: int) -> int:
        """Return how many items a full page has: as many as asked for, or the server's lower maximum."""
        if window.start == 0 and not self._paginator.overlaps:
            self._full = found if found in _LOWER_MAXIMA else window.size
        return self._full or window.size

    def _check_that_nothing_moved(self, window: Window, keys: list[Hashable | None]) -> None:
        known = sum(key in self._known for key in keys)
        repeated = max(0, self._end - window.start)
        is_surprise = known != repeated or len(keys) > window.size
        if is_surprise and not self._has_moved:
            self._has_moved = True
            self._on_move()
