"""The kinds of files that this provider writes about people, known by their columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_salesblink.loading.row_types import MAY_HAVE_OPTED_OUT
from airflow_provider_salesblink.results import snapshot_changes, snapshots
from airflow_provider_salesblink.results.events import COLUMNS as EVENT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    :param columns: the columns of each row.
    :param person_columns: those that show whose row it is, by address or hash.
    :param id_column: the one with the person's id in SalesBlink.
    :param json_columns: those that are JSON text in a Parquet file.
    :param optional: columns that a row may have.
    :param keeps_rows: whether the rows of a forgotten person stay, without the person, because they are counted.
    """

    name: str
    columns: frozenset[str]
    person_columns: tuple[str, ...]
    id_column: str | None
    json_columns: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    keeps_rows: bool = False

    def has(self, columns: Collection[str]) -> bool:
        """Return whether a row with these columns may be of this kind."""
        return self.columns <= set(columns) <= self.columns | self.optional


_DRY_RUN = frozenset({"dry_run"})
KINDS = (
    Kind("events", frozenset(EVENT_COLUMNS), ("email", "person"), "lead_id", ("extra",), keeps_rows=True),
    Kind(
        "outcomes", frozenset({"row", "person", "outcome", "reason", "prospect_id", "time"}), ("person",),
        "prospect_id", keeps_rows=True,
    ),
    Kind(
        "refused rows", frozenset({"row", "reason", "columns"}), ("columns",), None,
        optional=frozenset({MAY_HAVE_OPTED_OUT}),
    ),
    Kind("snapshot", frozenset(snapshots.COLUMNS), ("email",), "id", ("fields",)),
    Kind(
        "changes", frozenset(snapshot_changes.COLUMNS), ("email", "before", "after"), "id",
        ("fields", "before", "after"),
    ),
    Kind(
        "people", frozenset({"id", "email", "campaign_id", "unsubscribed", "fields"}), ("email",), "id",
        optional=_DRY_RUN,
    ),
    Kind("members", frozenset({"name", "email"}), ("email",), None),
)  # fmt: skip
SNAPSHOT = next(kind for kind in KINDS if kind.name == "snapshot")
EVENTS = KINDS[0]


def kind_of(columns: Collection[str]) -> Kind | None:
    """Return the kind of a file whose rows have these columns; None if this provider does not write such files."""
    return next((kind for kind in KINDS if kind.has(columns)), None)
