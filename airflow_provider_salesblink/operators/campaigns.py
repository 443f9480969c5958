"""Operators for campaigns: list, search, get, pause and unpause them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_provider_salesblink.argument_types import check_flag
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, exactly_one, outcome
from airflow_provider_salesblink.operators.names import only_id_called
from airflow_provider_salesblink.operators.sender_checks import check_senders, require_senders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import Campaign, SalesBlinkClient


class ListCampaignsOperator(SalesBlinkOperator):
    """List all campaigns that the key can see.

    XCom: ``outcome`` "found", ``count``, and ``campaigns``, each with ``id``, ``name`` and ``paused`` (None if
    SalesBlink does not say).

    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("salesblink_conn_id",)

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """List the campaigns."""
        return _found(client.campaigns.list())


class SearchCampaignsOperator(SalesBlinkOperator):
    """List the campaigns whose name contains a term.

    XCom: ``outcome`` "found" (also if the list is empty), ``count``, and ``campaigns`` as in
    :class:`ListCampaignsOperator`.

    :param term: a name or a part of one (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("term", "salesblink_conn_id")

    def __init__(self, *, term: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.term = term

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Search the campaigns."""
        return _found(client.campaigns.search(self.term))


class GetCampaignOperator(SalesBlinkOperator):
    """Get one campaign by id. The task fails if there is no such campaign.

    XCom: ``outcome`` "found", ``campaign_id``, ``name`` and ``paused`` (None if SalesBlink does not say).

    :param campaign_id: the campaign's id (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("campaign_id", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(self, *, campaign_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read the campaign."""
        found = _for_xcom(client.campaigns.get(self.campaign_id))
        return outcome("found", campaign_id=found.pop("id"), **found)


class _SetPausedOperator(SalesBlinkOperator):
    """Pause or unpause a campaign, as the subclass says."""

    template_fields: Sequence[str] = ("campaign_id", "campaign_name", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)
    paused: bool

    def __init__(self, *, campaign_id: str | None = None, campaign_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.campaign_name = campaign_name

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Pause or unpause the campaign."""
        from airflow_provider_salesblink.client import SalesBlinkError

        try:
            self.check_api(client)
            campaign_id = chosen_campaign(client, self.campaign_id, self.campaign_name)
            self.check_campaign(client, campaign_id)
            answer = client.campaigns.pause(campaign_id) if self.paused else client.campaigns.unpause(campaign_id)
        except SalesBlinkError:
            if self.paused:
                self.log.warning("The campaign may still be running: pausing it may have failed.")
            raise
        word = "paused" if self.paused else "unpaused"
        return outcome(word, dry_run=answer.get("dry_run", False), campaign_id=campaign_id)

    def check_api(self, client: SalesBlinkClient) -> None:
        """Raise if the API lacks something that the task needs. Nothing was sent."""

    def check_campaign(self, client: SalesBlinkClient, campaign_id: str) -> None:
        """Raise if the campaign must not be paused or unpaused."""


class PauseCampaignOperator(_SetPausedOperator):
    """Pause a campaign: its upcoming tasks stop.

    Pass exactly one of ``campaign_id`` and ``campaign_name``. Safe to run again.

    XCom: ``outcome`` "paused" and ``campaign_id``.

    :param campaign_id: the campaign's id (templated).
    :param campaign_name: the campaign's full name, which must be unique (templated). Costs one more read.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    paused = True


class UnpauseCampaignOperator(_SetPausedOperator):
    """Unpause a campaign: it continues sending.

    Pass exactly one of ``campaign_id`` and ``campaign_name``. Safe to run again.

    With ``check_senders``, the task fails before it unpauses the campaign if a mailbox that the campaign sends from is
    not connected, may not send, or has an error, or if SalesBlink does not show that. If SalesBlink does not show which
    mailboxes the campaign has, all mailboxes of the workspace are checked.

    XCom: ``outcome`` "unpaused" and ``campaign_id``.

    :param campaign_id: the campaign's id (templated).
    :param campaign_name: the campaign's full name, which must be unique (templated). Costs one more read.
    :param check_senders: whether to check the senders first (API v1 only). Costs two reads, and one for each sender.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    paused = False

    def __init__(self, *, check_senders: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_flag("check_senders", check_senders)
        self.check_senders = check_senders

    def check_api(self, client: SalesBlinkClient) -> None:
        """Raise if the senders are to be checked and the API has none."""
        if self.check_senders:
            require_senders(client)

    def check_campaign(self, client: SalesBlinkClient, campaign_id: str) -> None:
        """Raise if the senders are to be checked and one of them may not be able to send."""
        if self.check_senders:
            check_senders(client, campaign_id)


def chosen_campaign(client: SalesBlinkClient, campaign_id: str | None, campaign_name: str | None) -> str:
    """Return the id of the campaign that one of the two arguments names.

    :raises AirflowFailException: none or both have a value.
    :raises NotFoundError: no campaign has the name.
    :raises InvalidInputError: several campaigns have the name.
    """
    exactly_one(campaign_id=campaign_id, campaign_name=campaign_name)
    return cast("str", campaign_id) if campaign_name is None else id_of_campaign(client, campaign_name)


def id_of_campaign(client: SalesBlinkClient, name: str) -> str:
    """Return the id of the one campaign whose name is ``name``.

    :raises NotFoundError: no campaign has the name.
    :raises InvalidInputError: several campaigns have the name.
    """
    return only_id_called(name, client.campaigns.search(name), "campaign")


def _found(campaigns: list[Campaign]) -> dict[str, Any]:
    return outcome("found", count=len(campaigns), campaigns=[_for_xcom(campaign) for campaign in campaigns])


def _for_xcom(campaign: Campaign) -> dict[str, Any]:
    from airflow_provider_salesblink.client.redaction import redacted

    # A campaign may be named after a person.
    return {"id": campaign["id"], "name": redacted(campaign["name"] or ""), "paused": campaign["paused"]}
