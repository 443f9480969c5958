"""Options that people write: one error, one way to choose among known words, one way to split ``name=value`` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class SandboxUsageError(ValueError):
    """The sandbox was asked for something it does not have; the message names what it has."""


def known(word: str, words: Collection[str], what: str) -> str:
    """Return ``word`` if it is one of ``words``."""
    if word not in words:
        message = f"Unknown {what} '{word}'. Known: {', '.join(words)}"
        raise SandboxUsageError(message)
    return word


def number(text: str, what: str) -> float:
    """Return the finite number of at least 0 that ``text`` says."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        message = f"{what} must be a number of at least 0, not '{text}'"
        raise SandboxUsageError(message)
    return value


def whole_number(text: str, what: str) -> int:
    """Return the whole number of at least 0 that ``text`` says."""
    if not (text.isascii() and text.isdigit()):
        message = f"{what} must be a whole number, not '{text}'"
        raise SandboxUsageError(message)
    return int(text)


def pairs(text: str, names: Collection[str], what: str) -> dict[str, str]:
    """Split ``name=value,name=value``; every name must be one of ``names``."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        known(name.strip(), names, what)
        if not equals:
            message = f"'{part}' has no value: write {name}=..."
            raise SandboxUsageError(message)
        found[name.strip()] = value.strip()
    return found
