"""Operators for sequences: set their status, clone them, read their totals. They need SalesBlink's API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.argument_types import check_flag
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, outcome
from airflow_provider_salesblink.operators.sender_checks import check_senders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient

COUNTERS = (
    *("leads", "sent", "scheduled", "pending", "outbox", "opens", "link_clicks", "replies"),
    *("bounced", "unsubscribed", "positive_replies", "errors"),
)
"""The totals of a sequence that the API documents. The owner's address, which comes with them, is left out."""


class _SequenceOperator(SalesBlinkOperator):
    """A task about one sequence."""

    template_fields: Sequence[str] = ("sequence_id", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(self, *, sequence_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sequence_id = sequence_id


class SetSequenceStatusOperator(_SequenceOperator):
    """Set the status of a sequence: start, pause, stop or archive it.

    "active" starts mail to everybody on the sequence's lists. Nothing is sent for a sequence that runs already, because
    starting it again may mail people again. So the task is safe to run again. To pause and resume a sequence on both of
    SalesBlink's APIs, use ``PauseCampaignOperator`` and ``UnpauseCampaignOperator``.

    XCom: ``outcome``, which is the status in lower case, and ``sequence_id``.

    :param sequence_id: the sequence's id (templated).
    :param status: "active", "paused", "stopped" or "archived", in upper or lower case (templated).
    :param check_senders: whether to check the sequence's senders before "active", as ``UnpauseCampaignOperator`` does.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("sequence_id", "status", "salesblink_conn_id")

    def __init__(self, *, sequence_id: str, status: str, check_senders: bool = False, **kwargs: Any) -> None:
        super().__init__(sequence_id=sequence_id, **kwargs)
        check_flag("check_senders", check_senders)
        self.status = status
        self.check_senders = check_senders

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Set the status, unless the sequence is to start and runs already."""
        from airflow_provider_salesblink.client import validation

        status = validation.term("status", self.status).strip().lower()
        if status == "active" and client.sequences.get(self.sequence_id).get("paused") is False:
            self.log.info("The sequence runs already; nothing was sent.")
        else:
            if status == "active" and self.check_senders:
                check_senders(client, self.sequence_id)
            self._set_status(client, status)
        return outcome(status, dry_run=client.dry_run, sequence_id=self.sequence_id)

    def _set_status(self, client: SalesBlinkClient, status: str) -> None:
        from airflow_provider_salesblink.client import SalesBlinkError

        try:
            client.sequences.set_status(self.sequence_id, status)
        except SalesBlinkError:
            if status != "active":
                self.log.warning("The sequence may still be running: setting its status may have failed.")
            raise


class CloneSequenceOperator(_SequenceOperator):
    """Make a paused copy of a sequence.

    SalesBlink does not document whether the copy uses the same lists: check it before you start the copy. Each run
    makes a copy. So the task fails without a retry if SalesBlink's answer is lost: look for the copy in SalesBlink.

    XCom: ``outcome`` "cloned", ``sequence_id`` of the copy (None in a dry run), and ``source_id``.

    :param sequence_id: the id of the sequence to copy (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Clone the sequence."""
        copy = client.sequences.clone(self.sequence_id)
        return outcome("cloned", dry_run=client.dry_run, sequence_id=copy.get("id"), source_id=self.sequence_id)

    def may_run_again(self, error: Exception) -> bool:
        """Return False after a lost answer: a retry could make a second copy."""
        from airflow_provider_salesblink.client import AmbiguousWriteError

        return super().may_run_again(error) and not isinstance(error, AmbiguousWriteError)


class GetSequenceStatsOperator(_SequenceOperator):
    """Get the totals of a sequence since it was created.

    XCom: ``outcome`` "found", ``sequence_id``, and each of these counts that SalesBlink returns: ``leads``, ``sent``,
    ``scheduled``, ``pending``, ``outbox``, ``opens``, ``link_clicks``, ``replies``, ``bounced``, ``unsubscribed``,
    ``positive_replies`` and ``errors``.

    :param sequence_id: the sequence's id (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read the totals."""
        stats = client.sequences.stats(self.sequence_id)
        counts = {name: stats[name] for name in COUNTERS if isinstance(stats.get(name), int)}
        return outcome("found", sequence_id=self.sequence_id, **counts)
