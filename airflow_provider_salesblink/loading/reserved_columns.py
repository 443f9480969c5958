"""Find columns that cannot be distinguished from SalesBlink's own keys in a campaign's responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient


class ReservedColumns:
    """Learns from the people of a campaign, and refuses columns that would be confused with SalesBlink's keys.

    :param campaign_id: the campaign; None if the people may be in several campaigns.
    """

    def __init__(self, client: SalesBlinkClient, campaign_id: str | None = None) -> None:
        self._checks = client.prospects.checks
        self._campaign_id = campaign_id
        self._allowed: set[str] = set()
        self._seen: frozenset[str] | None = None
        self._confirmed: frozenset[str] | None = None
        self.has_unclear_ids = False

    def learn(self, people: Iterable[Prospect]) -> Iterator[Prospect]:
        """Yield ``people``, and note which of their keys are unclear."""
        for each in people:
            columns = self._checks.unclear_columns(each)
            if self._seen is None or not columns <= self._seen:
                self._seen = columns | (self._seen or frozenset())
            self.has_unclear_ids = self.has_unclear_ids or self._checks.id_is_unclear(each)
            yield each

    def refuse(self, columns: Collection[str]) -> None:
        """Refuse the columns of a person to be added or changed if one of them is unclear.

        :raises InvalidInputError: when one is, or has a name that only SalesBlink uses, or two have one name there.
        """
        if self._allowed.issuperset(columns):
            return
        self.refuse_reserved(columns)
        for name in sorted(self._checks.shared_columns.intersection(columns) - self._allowed):
            if name in self._unclear(name):
                raise InvalidInputError(
                    f"A column is called {name!r}. SalesBlink's answers use this name too, and do not show whether a "
                    f"value is SalesBlink's or the person's own. {_remedy(name)}"
                )
        self._checks.refuse_same_names(columns)
        # The answer is the same for every row.
        self._allowed.update(columns)

    def refuse_reserved(self, columns: Collection[str]) -> None:
        """Refuse the columns that cannot be loaded, whatever the responses show.

        :raises InvalidInputError: when one has a name that only SalesBlink uses.
        """
        for name in columns:
            if self._checks.is_reserved(name):
                raise InvalidInputError(
                    f"A column is called {name.strip()!r}, a name that only SalesBlink uses. {_remedy(name.strip())}"
                )

    def _unclear(self, name: str) -> frozenset[str]:
        if self._seen is not None and name not in self._seen:
            return self._seen
        if self._confirmed is None:
            if self._campaign_id is None:
                return self._seen or frozenset()
            self._confirmed = self._checks.unclear_in_campaign(self._campaign_id, self._seen)
        return self._confirmed


def _remedy(name: str) -> str:
    plain = name.strip("_").replace("_", " ")
    return (
        f"Nothing was sent. Rename the column, or leave it out. In a query, write {_sql_name(name)} AS "
        f'crm_{"_".join(plain.lower().split())}. In other loads, columns={{"{name}": "CRM {plain}"}} renames it; '
        "name all other columns there too, because the load leaves out those that are not named."
    )


def _sql_name(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'
