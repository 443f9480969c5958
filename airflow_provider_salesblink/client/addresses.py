"""No text that leaves the client shows an e-mail address."""

from __future__ import annotations

import re

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
