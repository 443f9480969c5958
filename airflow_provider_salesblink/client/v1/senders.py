"""The mailboxes that send (``/senders``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.v1 import decoding, paging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json


class Senders:
    """Calls about mailboxes. Each raises a subclass of :class:`SalesBlinkError` if it fails."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self) -> Iterator[Json]:
        """Yield the mailboxes (``GET /senders``). SalesBlink does not document their keys."""
        page = paging.RecordOffset(100)
        return paging.each_of(self._requestor, "senders", paginator=page, what="senders")

    def health(self, sender_id: str) -> Json:
        """Return the connection and reputation of one mailbox (``GET /senders/{id}/health``).

        :raises NotFoundError: there is no mailbox with this id.
        """
        sender_id = validation.identifier("sender_id", sender_id)
        return self._requestor.read("senders", sender_id, "health").decoded(decoding.record)
