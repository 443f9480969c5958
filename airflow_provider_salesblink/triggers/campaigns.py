"""Triggers for campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.argument_types import digits
from airflow_provider_salesblink.triggers.base import SalesBlinkTrigger

if TYPE_CHECKING:
    from airflow_provider_salesblink.choices import CampaignState
    from airflow_provider_salesblink.waiting.resources import Resource


class CampaignTrigger(SalesBlinkTrigger):
    """Wait until a campaign is in a state.

    :param state: ``paused`` or ``running``; on the API v1 also ``completed``, ``needs-attention`` or ``archived``.
    :param campaign_id: the campaign's id. Pass exactly one of ``campaign_id`` and ``campaign_name``.
    :param campaign_name: its full name.
    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: maximum seconds between two polls.
    :param max_consecutive_failures: number of failed polls in a row before it gives up.
    """

    def __init__(
        self, *, state: CampaignState, campaign_id: str | None = None, campaign_name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.state = state
        self.campaign_id = digits(campaign_id)
        self.campaign_name = digits(campaign_name)

    def arguments(self) -> dict[str, Any]:
        """Return this trigger's own arguments."""
        return {"state": self.state, "campaign_id": self.campaign_id, "campaign_name": self.campaign_name}

    def condition(self) -> tuple[Resource, object]:
        """Return the list of campaigns that shows the state, and the condition on this one."""
        from airflow_provider_salesblink.waiting.conditions import CampaignIs
        from airflow_provider_salesblink.waiting.resources import AllCampaigns, CampaignsInState

        resource = AllCampaigns() if self.state in ("paused", "running") else CampaignsInState(self.state)
        return resource, CampaignIs(self.state, self.campaign_id, self.campaign_name)


class CampaignHealthTrigger(SalesBlinkTrigger):
    """Wait until a campaign is beyond one of its limits, or no longer runs.

    It only reports; the task that waits decides what to do.

    :param campaign_id: the campaign's id.
    :param limits: the arguments of :class:`waiting.health.HealthLimits`.
    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: maximum seconds between two polls.
    :param max_consecutive_failures: number of failed polls in a row before it gives up.
    """

    def __init__(self, *, campaign_id: str, limits: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = digits(campaign_id)
        self.limits = limits

    def arguments(self) -> dict[str, Any]:
        """Return this trigger's own arguments."""
        return {"campaign_id": self.campaign_id, "limits": self.limits}

    def condition(self) -> tuple[Resource, object]:
        """Return the campaign's health, and the condition that it is beyond the limits."""
        from airflow_provider_salesblink.waiting.campaign_health import CampaignHealth, Unhealthy
        from airflow_provider_salesblink.waiting.health import HealthLimits

        return CampaignHealth(self.campaign_id), Unhealthy(HealthLimits(**self.limits))
