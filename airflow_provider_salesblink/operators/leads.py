"""Operators for leads, the people on lists: add, remove and move them. They need SalesBlink's API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.base import PersonOperator, SalesBlinkOperator, exactly_one, outcome
from airflow_provider_salesblink.operators.load_base import LoadOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading.report import Report


class AddLeadsOperator(LoadOperator):
    """Bring the people of a file, a query or a list onto a lead list, nobody twice and nobody lost.

    It works as ``AddProspectsOperator`` does, and takes the same arguments. If a running sequence uses the list, adding
    people starts its mails: the task then fails before it sends anything, unless ``allow_running`` is set.

    XCom: as of ``AddProspectsOperator``, with ``list_id`` instead of ``campaign_id``.

    :param list_id: the list's id (templated).
    :param list_name: the list's name instead (templated). The task fails if no list has it, or several do.
    :param allow_running: add people although running sequences use the list, and mail them.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("list_id", "list_name", *LoadOperator.template_fields)

    def __init__(
        self, *, list_id: str | None = None, list_name: str | None = None, allow_running: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.list_id = list_id
        self.list_name = list_name
        self.allow_running = allow_running

    def target_id(self, client: SalesBlinkClient) -> str:
        """Return the list's id, which its name may stand for."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.client.redaction import redacted

        exactly_one(list_id=self.list_id, list_name=self.list_name)
        if self.list_id is not None:
            return self.list_id
        validation.term("list_name", self.list_name)
        found = [each for each in client.lists.list() if each.get("name") == self.list_name]
        if len(found) != 1:
            ids = ", ".join(str(each.get("id")) for each in found)
            remedy = (
                f"pass the list_id of one: {ids}"
                if found
                else ("check its spelling, which counts upper and lower case too, or create it with CreateListOperator")
            )
            raise AirflowFailException(
                f"{len(found) or 'No'} lists are called {redacted(self.list_name or '')!r}: {remedy}. Nothing was sent."
            )
        return str(found[0]["id"])

    def target_options(self) -> dict[str, Any]:
        """Return that the people go onto a list, and whether running sequences may use it."""
        from airflow_provider_salesblink.loading.destination import ListAlone

        return {"list_choice": ListAlone(self.allow_running)}

    def _summary(self, report: Report) -> dict[str, Any]:
        result = super()._summary(report)
        return {("list_id" if name == "campaign_id" else name): value for name, value in result.items()}


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
