"""Column names: the classic API writes ``First Name``, the v1 API ``first_name``. The store keeps the classic names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STANDARD = {"email": "Email", "first_name": "First Name", "last_name": "Last Name", "company_name": "Company"}
_SNAKE_CASE = re.compile(r"[a-z][a-z0-9_]*")


def is_snake_case(column: str) -> bool:
    """Return whether the v1 API accepts a column name."""
    return _SNAKE_CASE.fullmatch(column) is not None


def snake_case(column: str) -> str:
    """Return the name that the v1 API shows for a column."""
    name = re.sub(r"[\W_]+", "_", column.strip().casefold()).strip("_")
    return "company_name" if name == "company" else name


def classic_name(column: str) -> str:
    """Return the classic API's name for a column. Only the four documented columns have another name there."""
    return STANDARD.get(snake_case(column), column)


def to_snake_case(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns under the names of the v1 API."""
    return {snake_case(column): value for column, value in fields.items()}


def merge(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields`` with changes whose names are those of the v1 API. A column keeps its spelling."""
    spelled = {snake_case(column): column for column in fields}
    return {**fields, **{spelled.get(snake_case(name), classic_name(name)): value for name, value in changes.items()}}
