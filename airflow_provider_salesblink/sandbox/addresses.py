"""Which of a person's columns is the address, and when two addresses are one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_email(column: str) -> bool:
    """Say whether a column holds the address: the documentation writes both ``Email`` and ``email``."""
    return column.strip().casefold() == "email"


def email_of(columns: Mapping[str, Any]) -> str:
    """Return the address among columns, as it was written; empty if there is none."""
    return next((value for key, value in columns.items() if is_email(key) and isinstance(value, str)), "")


def compared(email: str) -> str:
    """Return the form in which two addresses are compared."""
    return email.strip().casefold()
