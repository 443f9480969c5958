"""Operators for leads, the people on lists: remove and move them. They need SalesBlink's API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.operators.base import PersonOperator, SalesBlinkOperator, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient


class RemoveLeadOperator(PersonOperator):
    """Take a person off a lead list. The person stays on other lists, and is not unsubscribed.

    SalesBlink does not document whether mails that are already planned are cancelled. To stop all mail to a person, use
    ``UnsubscribeOperator``. A person who is taken off and added again is a new lead, who may get the same mails again.
    Safe to run again.

    XCom: ``outcome`` "removed", or "missing" if the address is not on the list; and ``list_id``.

    :param list_id: the list's id (templated). The task fails if there is no such list.
    :param email: the person's address (templated). It replaces Airflow's ``email``, so this task sends no alert mails.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("list_id", "email", "salesblink_conn_id")

    def __init__(self, *, list_id: str, email: str, **kwargs: Any) -> None:
        super().__init__(email=email, **kwargs)
        self.list_id = list_id

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Remove the person from the list."""
        from airflow_provider_salesblink.client import NotFoundError

        email = self.require_email()
        try:
            client.leads.remove(self.list_id, email)
        except NotFoundError:
            # SalesBlink answers 404 for an unknown list too; this read fails then.
            client.lists.get(self.list_id)
            return outcome("missing", list_id=self.list_id)
        return outcome("removed", dry_run=client.dry_run, list_id=self.list_id)


class MoveLeadOperator(SalesBlinkOperator):
    """Move a lead to another list.

    Moving somebody to a list that a running sequence uses may start mails to them, as adding does. So the task reads
    the sequences first and fails if a running one uses the list, unless ``allow_running`` is set. SalesBlink does not
    document what happens to a lead that is on the list already; expect no change.

    XCom: ``outcome`` "moved", ``lead_id``, and ``list_id``, the new list.

    :param lead_id: the lead's id (templated).
    :param list_id: the id of the list to move the lead to (templated).
    :param allow_running: move the lead even if a running sequence uses the list.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("lead_id", "list_id", "salesblink_conn_id")

    def __init__(self, *, lead_id: str, list_id: str, allow_running: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lead_id = lead_id
        self.list_id = list_id
        self.allow_running = allow_running

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Move the lead, if no running sequence uses the list."""
        if not self.allow_running:
            self._refuse_running(client)
        client.leads.move(self.lead_id, self.list_id)
        return outcome("moved", dry_run=client.dry_run, lead_id=self.lead_id, list_id=self.list_id)

    def _refuse_running(self, client: SalesBlinkClient) -> None:
        from airflow_provider_salesblink.client import InvalidInputError

        running = client.lists.running_sequences(self.list_id)
        if running:
            named = ", ".join(f"{sequence['name']!r} ({sequence['id']})" for sequence in running)
            raise InvalidInputError(
                f"The lead was not moved: list {self.list_id!r} is used by running sequences, which may start to mail "
                f"the lead: {named}. Pause them first, or set allow_running=True."
            )
