"""Parse and check options: known names, numbers, and ``name=value`` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class SandboxUsageError(ValueError):
    """An option or argument of the sandbox is invalid. The message lists the valid values."""


def require_known(word: str, words: Collection[str], what: str) -> str:
    """Return ``word``, or raise :class:`SandboxUsageError` if it is not one of ``words``."""
    if word not in words:
        message = f"Unknown {what} '{word}'. Known: {', '.join(words)}"
        raise SandboxUsageError(message)
    return word


def parse_number(text: str, what: str) -> float:
    """Return ``text`` as a finite number of at least 0, or raise :class:`SandboxUsageError`."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        message = f"{what} must be a number of at least 0, not '{text}'"
        raise SandboxUsageError(message)
    return value


def parse_whole_number(text: str, what: str) -> int:
    """Return ``text`` as a whole number of at least 0, or raise :class:`SandboxUsageError`."""
    if not (text.isascii() and text.isdigit()):
        message = f"{what} must be a whole number, not '{text}'"
        raise SandboxUsageError(message)
    return int(text)


def parse_pairs(text: str, names: Collection[str], what: str) -> dict[str, str]:
    """Split ``name=value,name=value``. Raise :class:`SandboxUsageError` for a name that is not one of ``names``."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        require_known(name.strip(), names, what)
        if not equals:
            message = f"'{part}' has no value. Write {name}=..."
            raise SandboxUsageError(message)
        found[name.strip()] = value.strip()
    return found
