"""Operators for the blocklist, the addresses and domains that get no mail. They need SalesBlink's API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.choices import SyncDirection
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, exactly_one, json_argument, one_of, outcome
from airflow_provider_salesblink.operators.databases import Query
from airflow_provider_salesblink.operators.suppression_lists import SuppressionFile, SuppressionList, SuppressionTable

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkClient
    from airflow_provider_salesblink.loading.suppression_sync import Differences, OwnList


class BlockOperator(SalesBlinkOperator):
    """Put addresses and domains on the blocklist, so that they get no mail.

    The blocklist belongs to the key's user. SalesBlink checks the address and its domain before each mail. The task
    checks all entries before it sends any. Safe to run again.

    XCom: ``outcome`` "blocked" and ``count``, the number of entries.

    :param entries: addresses and domains: a list, its JSON text, or one of them as text (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("entries", "salesblink_conn_id")

    def __init__(self, *, entries: Sequence[str] | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entries = entries

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Block the entries."""
        entries = self._entries()
        client.blocklist.add(entries)
        return outcome("blocked", dry_run=client.dry_run, count=len(entries))

    def _entries(self) -> list[str]:
        from airflow_provider_salesblink.client import InvalidInputError

        is_one = isinstance(self.entries, str) and not self.entries.lstrip().startswith("[")
        entries = [self.entries] if is_one else json_argument("entries", self.entries, list)
        if not isinstance(entries, list | tuple):
            raise InvalidInputError(f"entries is a {type(entries).__name__}: pass a list of addresses and domains.")
        if not entries:
            raise InvalidInputError("entries is empty: pass at least one address or domain.")
        return list(entries)


class UnblockOperator(SalesBlinkOperator):
    """Take one address or domain off the blocklist: mail to it becomes possible again.

    SalesBlink adds people who unsubscribe to the blocklist. So only unblock an address if its owner asked for mail
    again. Safe to run again.

    XCom: ``outcome`` "unblocked", or "missing" if the entry was not on the blocklist of the key's user.

    :param entry: one address or domain, as it stands on the blocklist (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("entry", "salesblink_conn_id")

    def __init__(self, *, entry: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entry = entry

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Look the entry up, and unblock it."""
        from airflow_provider_salesblink.client import validation

        entry = validation.address_or_domain("entry", self.entry)
        if not any(_may_be(entry, each["entry"]) for each in client.blocklist.list(search=entry)):
            return outcome("missing")
        client.blocklist.remove(entry)
        if not client.dry_run:
            self.log.warning("The entry is off the blocklist: mail to it is possible again.")
        return outcome("unblocked", dry_run=client.dry_run)


def _may_be(entry: str, shown: str | None) -> bool:
    """Return whether what the blocklist shows may be the entry. It may if it cannot be read."""
    from airflow_provider_salesblink.client.identity import normalized

    return shown is None or normalized(shown) == normalized(entry)


class SyncSuppressionsOperator(SalesBlinkOperator):
    """Bring your own list of suppressed people and SalesBlink's blocklist together. Nothing is removed on either side.

    Reads both lists, and compares entries in their normalized form. Blocks the addresses and domains that the blocklist
    lacks, appends the entries that your list lacks, or both. Safe to run again: a task that was killed then does the
    rest.

    The blocklist belongs to the key's user. Entries of colleagues do not show in it, so they are not appended.

    Your list may have SHA-256 hashes of addresses. They count when the lists are compared, but cannot be sent. Lines
    that are not entries are rejected, and so are entries that SalesBlink refuses. If more than ``max_rejected`` are
    rejected, the task fails. It sends the other entries first, to protect these people, but it appends nothing to a
    list with so many lines that are not entries. If most lines are not, it is hardly a suppression list, and the task
    sends nothing either.

    XCom: ``outcome`` "synced", ``direction`` and counts. ``entries`` of your list are ``there`` (on both lists), or
    ``sent``, ``hashes`` that cannot be sent, ``repeats`` or ``rejected``; with "from_salesblink" they may also be
    none of these. ``appended`` is what your list got, and ``unreadable`` counts blocklist entries that cannot be read.

    :param path: your list as a file on any object storage: one address, domain or SHA-256 of a normalized address a
        line (templated). A missing file is created, unless the direction is "to_salesblink".
    :param sql: your list as a query whose first column has the entries, as text or as a ``.sql`` file (templated).
        Exactly one of the two.
    :param direction: "to_salesblink" sends to the blocklist, "from_salesblink" appends to your list, "both" does both.
    :param sql_conn_id: the Airflow connection of the query's database (templated).
    :param sql_parameters: the parameters of the query (templated).
    :param insert_sql: the statement that inserts one entry into your table, with your driver's placeholder for it, such
        as ``INSERT INTO suppressed (email) VALUES (%s)`` (templated). Needed to append with ``sql``.
    :param max_rejected: how many entries may be rejected without the task failing.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = (
        "path",
        "sql",
        "sql_conn_id",
        "sql_parameters",
        "insert_sql",
        "salesblink_conn_id",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "insert_sql": "sql"}  # noqa: RUF012

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] | None = None,
        sql: str | None = None,
        direction: SyncDirection = "both",
        sql_conn_id: str | None = None,
        sql_parameters: Mapping[str, Any] | Sequence[Any] | str | None = None,
        insert_sql: str | None = None,
        max_rejected: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("direction", direction, get_args(SyncDirection))
        self.path: str | None = path_text(path)
        self.sql = sql
        self.direction = direction
        self.sql_conn_id = sql_conn_id
        self.sql_parameters = sql_parameters
        self.insert_sql = insert_sql
        self.max_rejected = max_rejected
        self._counts: dict[str, int] = {}

    def restore_state(self, saved: dict[str, Any]) -> None:
        """Continue counting where the task was deferred."""
        self._counts = saved.get("counts", {})

    def state_to_save(self, limited: RateLimitedError) -> dict[str, Any]:  # noqa: ARG002
        """Return what the task counted before it was deferred."""
        return {"counts": self._counts}

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read both lists, append to the user's, and send to the blocklist."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.loading import suppression_sync

        # On the classic API, this raises an error before anything is read.
        listing = client.blocklist.list()
        validation.whole_number("max_rejected", self.max_rejected, 0)
        listed = self._own_list()
        own = listed.read()
        if not own.count:
            self.log.warning("Your list is empty. Check what writes it.")
        is_doubtful = own.rejected > self.max_rejected
        if is_doubtful and own.is_something_else:
            raise AirflowFailException(
                f"{self._rejected(own)} Most of it is not entries, so this is hardly a suppression list: nothing was "
                "sent or appended. Pass the right list, one address, domain or SHA-256 of an address a line."
            )
        blocked = suppression_sync.read_blocklist(listing)
        found = suppression_sync.Differences.between(own, blocked)
        self.log.info("Your list has %d entries, and SalesBlink's %d.", own.count, blocked.count)
        to_send = found.to_send if self.direction != "from_salesblink" else []
        # A list with such lines may be another file, and nobody wants suppressed people at the end of that.
        to_append = found.to_append if self._appends and not is_doubtful else []
        if self._appends and not is_doubtful and not client.dry_run:
            listed.append(to_append)
        self._count(own, found, sent=len(to_send), appended=len(to_append))
        refused = suppression_sync.send(client, to_send, own)
        return self._result(client, own, refused=refused, unreadable=blocked.unreadable)

    @property
    def _appends(self) -> bool:
        return self.direction != "to_salesblink"

    def _own_list(self) -> SuppressionList:
        exactly_one(path=self.path, sql=self.sql)
        if self.path is not None:
            if any(each is not None for each in (self.sql_conn_id, self.sql_parameters, self.insert_sql)):
                raise AirflowFailException(
                    "sql_conn_id, sql_parameters and insert_sql are for a list that sql reads: remove them, or path."
                )
            return SuppressionFile(self.path, grows=self._appends)
        if self._appends and not (isinstance(self.insert_sql, str) and self.insert_sql.strip()):
            raise AirflowFailException(
                'Pass insert_sql, the statement that inserts one entry into your table, or direction="to_salesblink".'
            )
        return SuppressionTable(Query.of(self.sql, self.sql_conn_id, self.sql_parameters), self.insert_sql)

    def _count(self, own: OwnList, found: Differences, *, sent: int, appended: int) -> None:
        """Count what the first run found: after a deferral, what it sent is on both lists."""
        first = {"entries": own.count, "sent": sent, "there": found.there, "hashes": found.hashes, "appended": 0}
        self._counts = self._counts or {**first, "repeats": own.repeats}
        self._counts["appended"] += appended

    def _result(self, client: SalesBlinkClient, own: OwnList, *, refused: int, unreadable: int) -> dict[str, Any]:
        counts = {**self._counts, "rejected": own.rejected, "unreadable": unreadable}
        counts["sent"] -= refused
        if own.rejected > self.max_rejected:
            would_be = "Would be sent" if client.dry_run else "Sent"
            raise AirflowFailException(
                f"{self._rejected(own)} {would_be}: {counts['sent']:,}; appended to your list: {counts['appended']:,}. "
                "Correct or remove these entries, and run the task again."
            )
        return outcome("synced", dry_run=client.dry_run, direction=self.direction, **counts)

    def _rejected(self, own: OwnList) -> str:
        return (
            f"{own.rejected:,} of {own.count:,} entries were rejected, more than max_rejected={self.max_rejected}. "
            f"{own.first_rejects}"
        )
