"""The names of a prospect's columns: the four that SalesBlink documents, however a source spells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import values

if TYPE_CHECKING:
    from collections.abc import Mapping

EMAIL = "Email"
DOCUMENTED = ("First Name", "Last Name", EMAIL, "Company")
"""The columns of the classic API's own example; every other name is the user's and goes through untouched."""


def plain(name: str) -> str:
    """``name`` without what spellings of the same column differ in: ``First Name``, ``first_name``, ``firstName``."""
    return "".join(filter(str.isalnum, name)).casefold()


_BY_PLAIN_NAME = {plain(name): name for name in DOCUMENTED}


def documented(name: str) -> str:
    """The documented spelling of a documented column; any other name as it is."""
    return _BY_PLAIN_NAME.get(plain(name), name)


def is_email(name: str) -> bool:
    """Whether ``name`` is the column of the address."""
    return documented(name) == EMAIL


def differing(current: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, str]:
    """Those of the ``wanted`` fields whose text is another than a prospect's ``current`` one.

    A documented column is found however either side spells it.
    """
    spelled = {documented(name): value for name, value in current.items()}
    return {
        name: value
        for name, value in wanted.items()
        if as_text(current.get(name, spelled.get(documented(name)))) != value
    }


def as_text(value: object) -> str | None:
    """Return a current value as the update call would write it, so that 5 and "5" are no difference."""
    text = values.as_text(value)
    # An infinite number has no digits, yet two of them are equal.
    return str(value) if text is None and isinstance(value, float) and not values.is_missing(value) else text
