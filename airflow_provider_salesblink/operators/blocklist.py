"""Operators for the blocklist, the addresses and domains that get no mail. They need SalesBlink's API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.operators.base import SalesBlinkOperator, json_argument, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient


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
