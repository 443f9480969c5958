"""Validate and compare e-mail addresses. Everything in this package uses this one validator and this one comparison.

One mailbox is one person. Spellings of the same mailbox (upper and lower case, ``bücher`` and ``xn--bcher-kva``,
composed and decomposed accents, full-width letters) are the same person; two mailboxes are never the same person.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from hashlib import blake2b as _blake2b
from urllib.parse import unquote

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

# The form of most addresses: such an address is valid, and its lower-case form is its normalized form. All others take
# the slow path: unusual signs, reserved domains, punycode and odd hyphens, more than 64 characters.
_ORDINARY = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9_+-]*(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\."
    rf"(?!(?i:{'|'.join(map(re.escape, SPECIAL_USE_DOMAIN_NAMES))})$)[A-Za-z]{{2,}}",
    re.ASCII,
)
_matches_ordinary = _ORDINARY.fullmatch
_ODD_HYPHENS = ("--", "-.", ".-", "@-")
_LONGEST_ORDINARY = 64

_DISPLAY_NAME = re.compile(r"([^<>]*)<([^<>]*)>")
_MAILTO = re.compile(r"mailto:", re.IGNORECASE)
_EDGE = re.compile(r"\w(?:.*[\w+-])?|\+.*[\w-]", re.DOTALL)
_PIECES = re.compile(r"[^\s<>()\[\],;:|/\\]+@[^\s<>()\[\],;:|/\\@]+")
_PERCENT_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_SEPARATORS = re.compile(r"[,;|\\]")

_DERIVED_FOR = b"airflow-provider-salesblink: hashes of addresses"
"""Separates the key that is derived from an API key from all other uses of that key."""

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_JOINERS = "\u200c\u200d"
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)


class InvalidAddressError(ValueError):
    """The text is not an address. The message is the reason, and shows nothing of the text."""


def read_address(text: str) -> str:
    """Return the address in ``text``.

    Removes what is certainly not part of the address: blanks around it, invisible characters, ``mailto:``, and one
    display name (``"Ana" <ana@example.com>``). Narrows full-width letters. Keeps the spelling otherwise, with its case.

    :raises InvalidAddressError: ``text`` is not the address of a mailbox on the Internet, or may be more than one.
    """
    if _is_ordinary(text):
        return text
    found = cleaned(text)
    if _is_ordinary(found):
        return found
    if reason := _reason(found):
        raise InvalidAddressError(reason)
    try:
        validate_email(found, check_deliverability=False)
    except EmailNotValidError:
        # The library's message may contain parts of the address.
        raise InvalidAddressError("it has a character or a form that is not allowed in an address") from None
    return found


def read_person(text: str) -> tuple[str, bytes]:
    """Return the address in ``text`` and its fingerprint, faster than two calls.

    :raises InvalidAddressError: as :func:`read_address`.
    """
    if _is_ordinary(text):
        return text, _digest(text.lower())
    address = read_address(text)
    return address, fingerprint(address)


def identify(text: str) -> tuple[bytes, bool]:
    """Return the fingerprint of ``text`` and whether it is an address, faster than two calls."""
    if _is_ordinary(text):
        return _digest(text.lower()), True
    return fingerprint(text), is_address(text)


def addresses_in(text: str) -> list[str]:
    """Return all addresses in ``text``, which may be more than an address."""
    found = (piece.strip(".'\"").strip() for piece in _PIECES.findall(cleaned(text)))
    return [piece for piece in found if is_address(piece)]


def is_address(text: str) -> bool:
    """Return whether :func:`read_address` accepts ``text``."""
    try:
        read_address(text)
    except InvalidAddressError:
        return False
    return True


def normalized(address: str) -> str:
    """Return the normalized form of ``address``, which is the same for all spellings of one mailbox.

    Unicode NFC, the domain in its ASCII form, case-folded letter by letter (``ß`` stays ``ß``: ``weiß@`` and ``weiss@``
    are two mailboxes). SalesBlink may also hold text that is not an address; it is cleaned and folded in the same way.
    """
    if _is_ordinary(address):
        return address.lower()
    local, at, domain = cleaned(address).rpartition("@")
    return f"{_folded(local)}{at}{ascii_domain(domain)}"


def fingerprint(address: str) -> bytes:
    """Return a 16-byte hash that is the same for all spellings of one mailbox and does not reveal the address."""
    return _digest(normalized(address))


class AddressHash:
    """A keyed hash of addresses (HMAC-SHA-256), the same for all spellings of one mailbox, to join files on.

    Anyone can test guesses of addresses against a hash without a key, so it would be as good as the address itself.

    :param hash_key: the key; empty to derive one from ``api_key``.

    ``is_derived`` says whether the key comes from the API key, so that another API key gives other hashes.
    """

    def __init__(self, hash_key: str, *, api_key: str) -> None:
        self.is_derived = not hash_key
        self._key = hash_key.encode(errors="surrogatepass") or hmac.digest(api_key.encode(), _DERIVED_FOR, "sha256")

    def digest(self, address: str) -> bytes:
        """Return the hash of ``address``, which need not be normalized."""
        return hmac.digest(self._key, normalized(address).encode(errors="surrogatepass"), "sha256")

    def key_for(self, purpose: str) -> bytes:
        """Return a key for another purpose, which does not reveal this one."""
        return hmac.digest(self._key, f"airflow-provider-salesblink: {purpose}".encode(), "sha256")


def former_fingerprint(address: str) -> bytes:
    """Return the fingerprint of version 0.1.0, which stored triggers still use; it differs for a few addresses only."""
    return _digest(address.strip().casefold())


def spellings(address: str) -> list[str]:
    """Return the spellings of an address to search for, because the server may compare text."""
    compared = normalized(address)
    local, _, domain = compared.rpartition("@")
    found = dict.fromkeys([address, compared])
    if "xn--" in domain:
        found[f"{local}@{_unicode_domain(domain)}"] = None
    return list(found)


def ascii_domain(domain: str) -> str:
    """Return a domain in lower case and in its ASCII form (``xn--...``), without a dot at its end."""
    domain = domain.rstrip(".")
    if domain.isascii():
        return domain.lower()
    try:
        return validate_email(f"a@{domain}", check_deliverability=False, globally_deliverable=False).ascii_domain
    except EmailNotValidError:
        return _folded(domain)


def _unicode_domain(domain: str) -> str:
    try:
        return validate_email(f"a@{domain}", check_deliverability=False, globally_deliverable=False).domain
    except EmailNotValidError:
        return domain


def _is_ordinary(text: str) -> bool:
    return (
        len(text) <= _LONGEST_ORDINARY
        and _matches_ordinary(text) is not None
        and not ("-" in text and any(odd in text for odd in _ODD_HYPHENS))
    )


def _digest(text: str) -> bytes:
    return _blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _folded(text: str) -> str:
    """Return ``text`` in NFC and without case. Unlike ``casefold()``, each letter stays one letter."""
    text = unicodedata.normalize("NFC", text)
    if text.isascii():
        return text.lower()
    # Letters with two lower-case forms (the two sigmas) fold to the same one.
    folded = "".join(fold if len(fold := letter.casefold()) == 1 else letter.lower() for letter in text)
    return unicodedata.normalize("NFC", folded)


def cleaned(text: str) -> str:
    """Return ``text`` without what is never part of an address: see :func:`read_address`."""
    text = _visible(text.translate(_FULL_WIDTH)).strip()
    if _MAILTO.match(text):
        text = unquote(text[len("mailto:") :].partition("?")[0]).strip()
    if match := _DISPLAY_NAME.fullmatch(text):
        name, inner = match[1].strip(" \"'"), match[2].strip()
        # Outlook writes the address as its own display name. A different address there is a second person.
        if "@" not in name or _folded(name) == _folded(inner):
            text = cleaned(inner) if _MAILTO.match(inner) else inner
    return unicodedata.normalize("NFC", text)


def _visible(text: str) -> str:
    if text.isascii():
        return text
    kept: list[str] = []
    for letter in text:
        # Some scripts need joiners inside words; a domain without them is a different domain.
        is_needed = letter in _JOINERS and kept and not kept[-1].isascii()
        if is_needed or not _is_invisible(letter):
            kept.append(letter)
    return "".join(kept)


def _is_typographic(letter: str) -> bool:
    """Return whether a word processor or a PDF writes this sign in place of another. No mailbox has such a sign."""
    if letter.isascii():
        return False
    return unicodedata.category(letter)[0] in "PSZ" or unicodedata.normalize("NFKC", letter) != letter


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) == "Cf" or letter in _INVISIBLE or ord(letter) in _VARIATION_SELECTORS


def _reason(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at:
        return "it has no at sign"
    if "@" in local or _SEPARATORS.search(text):
        return "it may be more than one address: it has two at signs, or a comma, a semicolon or a similar sign"
    if any(map(str.isspace, text)):
        return "it has a blank inside"
    if not local or not domain:
        return "it has nothing on one side of the at sign"
    if text.endswith(".") or local.endswith(".") or text.startswith(".") or ".." in text or domain.startswith("."):
        return "it has a dot at an end, next to the at sign or to another dot"
    if "." not in domain.replace("\u3002", "."):
        return "its domain has no dot"
    if not _EDGE.fullmatch(local):
        return "it starts with a quote or another sign that no mailbox starts with, or has one before the at sign"
    if _PERCENT_ENCODED.search(local) or any(map(_is_typographic, local)):
        return "it has a typographic or encoded sign before the at sign, such as a long hyphen or a curly quote"
    if domain.lower().rpartition(".")[2] in SPECIAL_USE_DOMAIN_NAMES:
        return "its domain is reserved and gets no mail"
    return ""
