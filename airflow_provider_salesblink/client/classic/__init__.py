"""SalesBlink's classic API (``/api``), documented in 2021-22: campaigns, prospects and the team."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.classic.campaigns import Campaigns
from airflow_provider_salesblink.client.classic.prospects import Prospects
from airflow_provider_salesblink.client.classic.team import Team
from airflow_provider_salesblink.client.classic.unsupported import Unsupported

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.requestor import Requestor

PREFIX = "/api"

__all__ = ["PREFIX", "Api", "Campaigns", "Prospects", "Team"]


class Api:
    """The calls of the classic API. What only the API v1 has raises an error that says so."""

    def __init__(self, requestor: Requestor) -> None:
        self.campaigns = Campaigns(requestor)
        self.prospects = Prospects(requestor)
        self.team = Team(requestor)

    def __getattr__(self, name: str) -> Unsupported:
        return Unsupported(name)
