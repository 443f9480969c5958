"""The names of a lead's columns: users write ``First Name`` on both APIs; the API v1 takes snake_case only."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_salesblink.client.columns import DOCUMENTED, EMAIL, documented
from airflow_provider_salesblink.client.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STANDARD = dict(zip(DOCUMENTED, ("first_name", "last_name", "email", "company_name"), strict=True))
_USERS_NAMES = {wire: name for name, wire in _STANDARD.items()}

SYSTEM_FIELDS = frozenset(
    {
        *("_id", "id", "list_id", "account_id", "user_id", "accuracy", "provider", "custom_fields"),
        *("removed_sequences", "verification_required", "archive_invalid_contacts", "archive_risky_contacts"),
        *("processing", "completed", "completedAt", "last_modified", "created_date", "verification_blocked"),
        *("didOpen", "didClick", "didReply", "contactStats", "retryCount", "esg_name", "archived", "deleted"),
    }
)
"""The fields that SalesBlink documents as its own: it refuses to set them."""

API_KEYS = SYSTEM_FIELDS | {"owned_by", "starred", "date_created"}
"""Keys of a lead in SalesBlink's answers that are not the person's columns."""

STATUS = "status"

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_SNAKE = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """Return the name under which a column travels: ``Job Title`` -> ``job_title``, ``Company`` -> ``company_name``.

    Letters with accents lose them (``Größe`` -> ``grosse``), because SalesBlink accepts plain snake_case only.

    :raises InvalidInputError: no letter or digit is left.
    """
    standard = _STANDARD.get(documented(name))
    if standard:
        return standard
    letters = unicodedata.normalize("NFKD", _WORD_START.sub("_", name)).casefold()
    found = _NOT_SNAKE.sub("_", "".join(each for each in letters if not unicodedata.combining(each))).strip("_")
    if not found:
        raise InvalidInputError(
            f"A column is called {name!r}. SalesBlink's API v1 accepts names of a-z, 0-9 and _ only, and nothing of it "
            "is left. Rename the column; nothing was sent."
        )
    return found


def is_reserved(name: str) -> bool:
    """Return whether SalesBlink uses this name itself, so that no column may have it."""
    return name.strip() in SYSTEM_FIELDS or snake_case(name) in API_KEYS


def to_wire(argument: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``columns`` under the names that SalesBlink's API v1 takes.

    :param argument: the name of the caller's argument, for errors.
    :raises InvalidInputError: two names become the same one, or a name is one of SalesBlink's own.
    """
    found: dict[str, Any] = {}
    given: dict[str, str] = {}
    for name, value in columns.items():
        wire = snake_case(name)
        if is_reserved(name):
            raise InvalidInputError(
                f"{argument} has a column {name.strip()!r}: SalesBlink uses this name itself. "
                "Rename the column; nothing was sent."
            )
        if wire in found:
            raise InvalidInputError(
                f"{argument} has two columns, {given[wire]!r} and {name!r}, that SalesBlink's API v1 both calls "
                f"{wire!r}: remove or rename one of them. Nothing was sent."
            )
        found[wire], given[wire] = value, name
    return found


class ColumnValues(dict[str, Any]):
    """The columns of a lead. A value is found under the name that the user gave, and under SalesBlink's.

    The keys are ``First Name``, ``Last Name``, ``Email`` and ``Company``, as on the classic API, and snake_case for all
    other columns: SalesBlink does not keep the name that the user gave.
    """

    @classmethod
    def of_lead(cls, lead: Mapping[str, Any]) -> Self:
        """Return the person's own columns in a lead's object, without SalesBlink's keys."""
        own = ((name, value) for name, value in lead.items() if name not in API_KEYS and value is not None)
        return cls((_USERS_NAMES.get(name, name), value) for name, value in own)

    def __missing__(self, name: str) -> Any:  # noqa: ANN401
        stored = _stored(name)
        if stored == name or not dict.__contains__(self, stored):
            raise KeyError(name)
        return self[stored]

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or (isinstance(name, str) and dict.__contains__(self, _stored(name)))

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """Return the value of a column, or ``default``."""
        try:
            return self[name]
        except KeyError:
            return default


class ColumnValuesWithStatus(ColumnValues):
    """The columns of a person in a campaign, where ``status`` is their state in the campaign, such as ``replied``.

    It is None if the campaign does not show one. A column of the person's own with this name, in any spelling, is not
    found: it must not be taken for the state. Listing the columns does not list the state.
    """

    status: str | None = None

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        return self.status if _stored(name) == STATUS else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return (isinstance(name, str) and _stored(name) == STATUS) or super().__contains__(name)


def _stored(name: str) -> str:
    try:
        wire = snake_case(name)
    except InvalidInputError:
        return name
    return _USERS_NAMES.get(wire, wire)


def email_of(lead: Mapping[str, Any]) -> str | None:
    """Return a lead's address; None if it shows none."""
    value = lead.get(_STANDARD[EMAIL])
    return value if isinstance(value, str) and value.strip() else None
