"""E-mail addresses: one address is one person, and no text that leaves the client shows one."""

from __future__ import annotations

import hashlib
import re

ADDRESS_SHOWN_AS = "<address>"

# Wide on purpose: hiding a word too many costs nothing, one address shown does.
# %40 is how the URLs of the searches write the @.
_BEFORE = r"[^\s<>()\[\],;:=?&/\\\"]"
_AFTER = r"[^\s<>()\[\]{},;:=?&/\\|\"'`]"
# From the start of a word only, so that a long one is not tried again from each of its letters.
_ADDRESS = re.compile(f"(?<!{_BEFORE}){_BEFORE}*(?:@|%40){_AFTER}+", re.IGNORECASE)


def person(address: str) -> str:
    """Who ``address`` belongs to: addresses of the same person give the same text (trimmed and case-folded)."""
    return address.strip().casefold()


def fingerprint(address: str) -> bytes:
    """Who ``address`` belongs to, in 16 bytes from which nobody reads the address."""
    return hashlib.blake2b(person(address).encode(errors="surrogatepass"), digest_size=16).digest()


def found_in(text: str) -> list[str]:
    """What looks like an e-mail address in ``text``."""
    return _ADDRESS.findall(text)


def redacted(text: str, *private: str) -> str:
    """``text`` without e-mail addresses, nor any of the ``private`` texts."""
    for secret in filter(None, private):
        text = text.replace(secret, "<hidden>")
    return _ADDRESS.sub(ADDRESS_SHOWN_AS, text)
