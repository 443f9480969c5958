"""The names of a prospect's columns: recognize the four that SalesBlink documents in any spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import cell_values

if TYPE_CHECKING:
    from collections.abc import Mapping

EMAIL = "Email"
DOCUMENTED = ("First Name", "Last Name", EMAIL, "Company")
"""The columns in the classic API's documentation. Any other name is the user's and stays as it is."""


def plain(name: str) -> str:
    """Return ``name`` without case and punctuation, the same for ``First Name``, ``first_name`` and ``firstName``."""
    return "".join(filter(str.isalnum, name)).casefold()


_BY_PLAIN_NAME = {plain(name): name for name in DOCUMENTED}


def documented(name: str) -> str:
    """Return the documented spelling of a documented column, and any other name as it is."""
    return _BY_PLAIN_NAME.get(plain(name), name)


def is_email(name: str) -> bool:
    """Return whether ``name`` is the column with the e-mail address."""
    return documented(name) == EMAIL


def differing(current: Mapping[str, Any], wanted: Mapping[str, str], *, only_empty: bool = False) -> dict[str, str]:
    """Return the ``wanted`` fields whose text differs from the prospect's ``current`` one.

    Documented columns match in any spelling.

    :param only_empty: whether to return only fields that are empty or absent in SalesBlink.
    """
    spelled = {documented(name): value for name, value in current.items()}
    found = {name: current.get(name, spelled.get(documented(name))) for name in wanted}
    return {
        name: value
        for name, value in wanted.items()
        if (_is_empty(found[name]) if only_empty else as_text(found[name]) != value)
    }


def _is_empty(value: object) -> bool:
    return cell_values.is_missing(value) or (isinstance(value, str) and not cell_values.trimmed(value))


def as_text(value: object) -> str | None:
    """Return a single value as the update call would write it, so that 5 and "5" are equal; None for other values."""
    text = cell_values.as_text(value)
    # An infinite number has no digits, yet two of them are equal.
    return str(value) if text is None and isinstance(value, float) and not cell_values.is_missing(value) else text
