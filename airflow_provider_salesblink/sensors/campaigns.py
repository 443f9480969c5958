"""Sensors for campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_salesblink.argument_types import normalize_arguments
from airflow_provider_salesblink.choices import CampaignState
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import exactly_one, one_of
from airflow_provider_salesblink.sensors.base import SalesBlinkSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_salesblink.triggers.base import SalesBlinkTrigger


class CampaignSensor(SalesBlinkSensor):
    """Wait until a campaign is in a state.

    Pass exactly one of ``campaign_id`` and ``campaign_name``. The sensor polls the list of all campaigns, and for the
    states of the API v1 also the list of those in the state; deferred sensors share these requests. If SalesBlink does
    not show the state, the task fails and names the fields it returned. XCom: ``outcome`` (the state) and
    ``campaign_id``.

    :param campaign_id: the campaign's id (templated).
    :param campaign_name: its full name, which must be unique (templated).
    :param state: ``paused`` or ``running`` (not paused); on the API v1 also ``completed``, ``needs-attention`` or
        ``archived``. On the classic API, the task fails at once for these three.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param deferrable: wait in the triggerer, without a worker.
    :param max_consecutive_failures: number of polls in a row that may fail with a passing error.
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_name", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str | None = None,
        campaign_name: str | None = None,
        state: CampaignState = "paused",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("state", state, get_args(CampaignState))
        self.campaign_id = campaign_id
        self.campaign_name = campaign_name
        self.state: CampaignState = state

    def describe_condition(self) -> str:
        """Return the campaign and the state, in words."""
        from airflow_provider_salesblink.client.redaction import redacted

        which = self.campaign_name if self.campaign_id is None else self.campaign_id
        return f"campaign {redacted(str(which))!r} to be {self.state}"

    def trigger(self) -> SalesBlinkTrigger:
        """Return the trigger that waits for the same condition."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger

        normalize_arguments(self)
        exactly_one(campaign_id=self.campaign_id, campaign_name=self.campaign_name)
        if self.campaign_id is not None:
            validation.identifier("campaign_id", self.campaign_id)
        else:
            validation.term("campaign_name", self.campaign_name)
        return CampaignTrigger(
            state=self.state,
            campaign_id=self.campaign_id,
            campaign_name=self.campaign_name,
            **self.polling_arguments(),
        )
