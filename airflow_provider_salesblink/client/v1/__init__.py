"""SalesBlink's public API v1.0.0 (``/api/public/v1.0.0``): sequences, lists, leads and the blocklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.v1.account import Account
from airflow_provider_salesblink.client.v1.analytics import Analytics
from airflow_provider_salesblink.client.v1.blocklist import Blocklist
from airflow_provider_salesblink.client.v1.campaigns import Campaigns
from airflow_provider_salesblink.client.v1.endpoints import Endpoints
from airflow_provider_salesblink.client.v1.events import Events
from airflow_provider_salesblink.client.v1.lead_search import LeadSearch
from airflow_provider_salesblink.client.v1.leads import Leads
from airflow_provider_salesblink.client.v1.lists import Lists
from airflow_provider_salesblink.client.v1.opt_outs import OptOuts
from airflow_provider_salesblink.client.v1.prospects import Prospects
from airflow_provider_salesblink.client.v1.senders import Senders
from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists
from airflow_provider_salesblink.client.v1.sequence_people import SequencePeople
from airflow_provider_salesblink.client.v1.sequences import Sequences
from airflow_provider_salesblink.client.v1.team import Team
from airflow_provider_salesblink.client.v1.users import Users, Workspaces

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.requestor import Requestor

PREFIX = "/api/public/v1.0.0"

__all__ = ["PREFIX", "Api", "Campaigns", "Prospects", "Team"]


class Api:
    """The calls of the API v1: the vocabulary of the classic API, and the API's own resources."""

    def __init__(self, requestor: Requestor) -> None:
        self.account = Account(requestor)
        self.analytics = Analytics(requestor)
        self.blocklist = Blocklist(requestor)
        self.endpoints = Endpoints(requestor)
        self.events = Events(requestor)
        self.leads = Leads(requestor)
        self.senders = Senders(requestor)
        self.sequences = Sequences(requestor)
        self.users = Users(requestor)
        self.workspaces = Workspaces(requestor)
        sequence_lists = SequenceLists(self.sequences)
        self.lists = Lists(requestor, sequence_lists)
        search = LeadSearch(self.lists, self.leads, sequence_lists, self.events)
        people = SequencePeople(self.sequences, self.lists, sequence_lists)
        opt_outs = OptOuts(requestor, self.blocklist, self.leads, self.events)
        self.campaigns = Campaigns(requestor, self.sequences)
        self.prospects = Prospects(requestor, self.leads, search, people, sequence_lists, opt_outs)
        self.team = Team(self.users)
