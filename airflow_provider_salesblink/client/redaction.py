"""Keep e-mail addresses out of texts that leave the client: errors, and the debug log of the HTTP library."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS_SHOWN_AS = "<address>"

# Wide on purpose: hiding a word too many costs nothing, one address shown does.
# %40 is how the URLs of the searches write the @; the other two are full-width and small forms of it.
_BEFORE = r"[^\s<>()\[\],;:=?&/\\\"]"
_AFTER = r"[^\s<>()\[\]{},;:=?&/\\|\"'`]"
# From the start of a word only, so that a long one is not tried again from each of its letters.
_ADDRESS = re.compile(f"(?<!{_BEFORE}){_BEFORE}*(?:[@\uff20\ufe6b]|%40){_AFTER}+", re.IGNORECASE)


def found_in(text: str) -> list[str]:
    """What looks like an e-mail address in ``text``."""
    return _ADDRESS.findall(text)


def redacted(text: str, *private: str) -> str:
    """``text`` without e-mail addresses, nor any of the ``private`` texts."""
    for secret in filter(None, private):
        text = text.replace(secret, "<hidden>")
    return _ADDRESS.sub(ADDRESS_SHOWN_AS, text)


_TALKATIVE = ("urllib3.connectionpool", "urllib3.util.retry")

_ours = local()


def _without_query(argument: object) -> object:
    return redacted(argument.partition("?")[0]) if isinstance(argument, str) else argument


def _filter(record: logging.LogRecord) -> bool:
    if getattr(_ours, "sending", False) and isinstance(record.args, tuple):
        record.args = tuple(map(_without_query, record.args))
    return True


@contextmanager
def quiet_urllib3() -> Iterator[None]:
    """Within it, this thread's requests are logged without their query. Other threads' and users' are as ever."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_filter)
    _ours.sending = True
    try:
        yield
    finally:
        _ours.sending = False
