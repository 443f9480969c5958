"""Find a person's email column, and normalize email addresses for comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_email_column(column: str) -> bool:
    """Return whether a column holds the email address. The API documentation uses both ``Email`` and ``email``."""
    return column.strip().casefold() == "email"


def find_email(columns: Mapping[str, Any]) -> str:
    """Return the address in the email column, unchanged; empty if there is none."""
    return next((value for key, value in columns.items() if is_email_column(key) and isinstance(value, str)), "")


def normalize_email(email: str) -> str:
    """Return the form of an address that is used for comparison."""
    return email.strip().casefold()
