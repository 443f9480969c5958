"""Redact e-mail addresses in text that leaves the client: errors, and the debug log of the HTTP library."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESS_SHOWN_AS = "<address>"

# Broad on purpose: hiding a word too many does no harm, showing an address does.
# Search URLs write @ as %40; the other two characters are its full-width and small forms.
_BEFORE = r"[^\s<>()\[\],;:=?&/\\\"]"
_AFTER = r"[^\s<>()\[\]{},;:=?&/\\|\"'`]"
# URLs inside URLs write % as %25, and HTML has its own forms.
_WRITTEN = r"%(?:25)*40|%(?:25)*EF%(?:25)*BC%(?:25)*A0|&#0*64;|&#x0*40;|&commat;"
# Matches from the start of a word only: otherwise each letter of a long word would start another search.
_ADDRESS = re.compile(f"(?<!{_BEFORE}){_BEFORE}*(?:[@\uff20\ufe6b]|{_WRITTEN}){_AFTER}+", re.IGNORECASE)


def find_addresses(text: str) -> list[str]:
    """Return everything in ``text`` that looks like an e-mail address."""
    return _ADDRESS.findall(text)


def redacted(text: str, *private: str) -> str:
    """Return ``text`` with e-mail addresses, and each of the ``private`` texts, replaced."""
    for secret in filter(None, private):
        text = text.replace(secret, "<hidden>")
    return _ADDRESS.sub(ADDRESS_SHOWN_AS, text)


def replace_addresses(text: str, replacement: Callable[[str], str]) -> str:
    """Return ``text`` with everything that looks like an e-mail address replaced by what ``replacement`` returns."""
    return _ADDRESS.sub(lambda found: replacement(found[0]), text)


_URLLIB3_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")

_this_thread = local()


def _without_query(argument: object) -> object:
    return redacted(argument.partition("?")[0]) if isinstance(argument, str) else argument


def _drop_queries(record: logging.LogRecord) -> bool:
    if getattr(_this_thread, "sending", False) and isinstance(record.args, tuple):
        record.args = tuple(map(_without_query, record.args))
    return True


@contextmanager
def redact_urllib3_logs() -> Iterator[None]:
    """While active, remove the query from this thread's URLs in urllib3's log. Other threads' logs do not change."""
    for name in _URLLIB3_LOGGERS:
        logging.getLogger(name).addFilter(_drop_queries)
    _this_thread.sending = True
    try:
        yield
    finally:
        _this_thread.sending = False
