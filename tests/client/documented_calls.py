"""The twelve calls in the classic API's documentation: as calls of the client, and as the requests they send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient

ANA = "ana@example.com"


@dataclass(frozen=True)
class Scene:
    """The ids that the calls use: a campaign with a person in it."""

    campaign: str
    prospect: str


@dataclass(frozen=True)
class Documented:
    """One documented call.

    :param operation: its name in the sandbox.
    :param path: below ``/api``; ``{campaign}`` and ``{prospect}`` stand for the scene's ids, in ``body`` too.
    """

    section: str
    make: Callable[[SalesBlinkClient, Scene], Any]
    method: str
    operation: str
    path: str
    query: str = ""
    body: dict[str, Any] | None = field(default=None)

    def __str__(self) -> str:
        return self.section


DOCUMENTED = [
    Documented(
        "search campaigns",
        lambda client, _: client.campaigns.search("spring sale"),
        "GET", "campaign", "/campaign", "term=spring%20sale",
    ),
    Documented("all campaigns", lambda client, _: client.campaigns.list(), "GET", "campaigns", "/campaigns"),
    Documented(
        "one campaign",
        lambda client, scene: client.campaigns.get(scene.campaign),
        "GET", "campaign", "/campaign/{campaign}",
    ),
    Documented(
        "pause",
        lambda client, scene: client.campaigns.pause(scene.campaign),
        "POST", "campaign-status", "/campaign-status", body={"campaignID": "{campaign}", "pause": True},
    ),
    Documented(
        "unpause",
        lambda client, scene: client.campaigns.unpause(scene.campaign),
        "POST", "campaign-status", "/campaign-status", body={"campaignID": "{campaign}", "pause": False},
    ),
    Documented(
        "search prospect",
        lambda client, _: client.prospects.search(ANA),
        "GET", "prospect", "/prospect", "term=ana%40example.com",
    ),
    Documented(
        "prospects of a campaign",
        lambda client, scene: client.prospects.list(scene.campaign),
        "GET", "prospects", "/prospects/{campaign}",
    ),
    Documented(
        "one prospect",
        lambda client, scene: client.prospects.get(scene.prospect),
        "GET", "prospect", "/prospect/{prospect}",
    ),
    Documented(
        "add prospect",
        lambda client, scene: client.prospects.add(
            scene.campaign, {"First Name": "Bo", "Email": "bo@example.com", "Größe": 7}
        ),
        "POST", "prospect-add", "/prospect-add",
        body={"campaignID": "{campaign}", "data": {"First Name": "Bo", "Email": "bo@example.com", "Größe": 7}},
    ),
    Documented(
        "update prospect",
        lambda client, scene: client.prospects.update(scene.prospect, {"Company": "Northwind"}),
        "POST", "prospect-update", "/prospect",
        body={"prospectID": "{prospect}", "key": "Company", "value": "Northwind"},
    ),
    Documented(
        "unsubscribe prospect",
        lambda client, scene: client.prospects.unsubscribe(scene.prospect),
        "POST", "prospect-unsubscribe", "/prospect-unsubscribe", body={"prospectID": "{prospect}"},
    ),
    Documented("team members", lambda client, _: client.team.list(), "GET", "my-team", "/my-team"),
]  # fmt: skip

ADD = next(call for call in DOCUMENTED if call.section == "add prospect")
READS = [call for call in DOCUMENTED if call.method == "GET"]
REPEATABLE_WRITES = [call for call in DOCUMENTED if call.method == "POST" and call is not ADD]

every_call = pytest.mark.parametrize("call", DOCUMENTED, ids=str)
every_read = pytest.mark.parametrize("call", READS, ids=str)
every_repeatable_write = pytest.mark.parametrize("call", REPEATABLE_WRITES, ids=str)
