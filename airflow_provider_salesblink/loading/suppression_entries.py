"""Read the entries of a list of people who must not be mailed: addresses, whole domains, and hashes of addresses."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_salesblink.client.identity import (
    InvalidAddressError,
    ascii_domain,
    cleaned,
    fingerprint,
    normalized,
    read_address,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EntryKind = Literal["address", "domain", "hash"]

AS_TEXT = "suppression lists are read from text files only, so save the list as text, one entry a line"
"""What to do with a list in another format."""

_SHA_256 = re.compile(r"[0-9a-fA-F]{64}")
_DOMAIN = re.compile(r"(?:[\w-]+\.)+[^\W\d_][\w-]+")
_DOMAIN_PREFIX = re.compile(r"\A(?:\*\.|\.|www\.)")
_HEADERS = frozenset({"email", "emailaddress", "address", "domain", "entry", "sha256", "hash"})


class InvalidEntryError(ValueError):
    """The text is not an entry. The message says what it is instead, and shows nothing of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of such a list.

    :param text: the address, the domain or the hash.
    :param key: the same for all spellings of the entry, and for no other entry.
    """

    kind: EntryKind
    text: str
    key: bytes

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys under which a list may have this entry: an address also by its hash."""
        return (self.key, sha256(self.text)) if self.kind == "address" else (self.key,)


def sha256(address: str) -> bytes:
    """Return the SHA-256 of a normalized address, as lists of hashes have it."""
    return hashlib.sha256(normalized(address).encode(errors="surrogatepass")).digest()


def numbered_entries(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield what a file may have as entries, each with its line number: not blank lines, comments, or a header."""
    for number, line in enumerate(lines, start=1):
        text = entry_text(line)
        if text and not text.startswith("#") and not (number == 1 and _is_header(text)):
            yield number, text


def entry_text(line: str) -> str:
    """Return a line or a cell without blanks, quotes and invisible characters around it."""
    return cleaned(line.strip().strip('\ufeff"'))


def read_entry(text: str, *, with_prefixes: bool = True) -> Entry:
    """Return the entry that ``text`` is.

    :param with_prefixes: whether ``www.example.org`` and ``*.example.org`` stand for ``example.org``.
    :raises InvalidEntryError: it is neither an address, nor a domain, nor the SHA-256 of an address.
    """
    if _SHA_256.fullmatch(text):
        return Entry("hash", text.lower(), bytes.fromhex(text))
    local, at, domain = text.rpartition("@")
    domain = domain.replace("\u3002", ".").rstrip(".")
    if with_prefixes:
        domain = _DOMAIN_PREFIX.sub("", domain, count=1)
    if not local and _DOMAIN.fullmatch(domain):
        domain = ascii_domain(domain)
        return Entry("domain", domain, domain.encode())
    try:
        address = read_address(text)
    except InvalidAddressError as reason:
        raise InvalidEntryError(_what(text, str(reason) if at else "")) from None
    return Entry("address", address, fingerprint(address))


def _is_header(text: str) -> bool:
    return "".join(filter(str.isalnum, text)).casefold() in _HEADERS and "." not in text


def _what(entry: str, reason: str) -> str:
    if "://" in entry:
        return "a web address: write only the domain"
    if "," in entry or ";" in entry or "\t" in entry:
        return "several cells: write one address, domain or SHA-256 of an address a line, and nothing else"
    return f"not an e-mail address: {reason}" if reason else "not an address, a domain or a SHA-256 of an address"
