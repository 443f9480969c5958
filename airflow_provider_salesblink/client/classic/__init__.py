"""SalesBlink's classic API (``/api``), documented in 2021-22: campaigns, prospects and the team."""

from airflow_provider_salesblink.client.classic.campaigns import Campaigns
from airflow_provider_salesblink.client.classic.prospects import Prospects
from airflow_provider_salesblink.client.classic.team import Team

PREFIX = "/api"

__all__ = ["PREFIX", "Campaigns", "Prospects", "Team"]
