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
    """Wait until a campaign is paused, or running.

    Exactly one of ``campaign_id`` and ``campaign_name`` says which. Looks at the list of all campaigns, one request for
    however many wait in a triggerer. Where SalesBlink does not tell the state, the task fails and names what it told.
    XCom: ``outcome``, the state, and ``campaign_id``.

    :param campaign_id: the campaign's id (templated).
    :param campaign_name: its full name, which only one campaign may have (templated).
    :param state: ``paused`` or ``running``.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param deferrable: wait in the triggerer; no worker is held.
    :param max_consecutive_failures: how many looks in a row may fail in passing.
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

    def awaited(self) -> str:
        """Which campaign in which state."""
        from airflow_provider_salesblink.client.redaction import redacted

        which = self.campaign_name if self.campaign_id is None else self.campaign_id
        return f"campaign {redacted(str(which))!r} to be {self.state}"

    def trigger(self) -> SalesBlinkTrigger:
        """What waits for the same in the triggerer."""
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
            **self.polling(),
        )
