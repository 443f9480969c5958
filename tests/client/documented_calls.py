"""The documented calls of both APIs: as calls of the client, and as the requests they send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider_salesblink.client import classic, v1
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES
from airflow_provider_salesblink.sandbox.v1.operations import OPERATIONS
from tests.client.v1 import documented_calls as v1_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox.request_log import Request

ANA = "ana@example.com"
PREFIXES = {"classic": classic.PREFIX, "v1": v1.PREFIX}


@dataclass(frozen=True)
class Scene:
    """The ids that the calls use: a campaign with a person in it, and a paused campaign."""

    campaign: str
    prospect: str
    paused: str = "paused"


@dataclass(frozen=True)
class Documented:
    """One documented call.

    :param operation: its name in the sandbox.
    :param path: below the API's prefix; ``{campaign}``, ``{prospect}`` and ``{paused}`` stand for the scene's ids, in
        ``body`` too.
    :param after_loss: what the client does after a lost answer.
    """

    section: str
    make: Callable[[SalesBlinkClient, Scene], Any]
    method: str
    operation: str
    path: str
    query: str = ""
    body: dict[str, Any] | None = field(default=None)
    api: str = "classic"
    after_loss: Literal["repeat", "read back", "stop"] = "repeat"

    def __str__(self) -> str:
        return self.section

    def full_path(self, scene: Scene) -> str:
        """Return the path that the call requests."""
        ids = {"campaign": scene.campaign, "prospect": scene.prospect, "paused": scene.paused}
        return PREFIXES[self.api] + self.path.format(**ids)

    def among(self, requests: Iterable[Request], scene: Scene) -> list[Request]:
        """Return the requests of this operation: a call of the client may need others as well."""
        wanted = (self.method, self.full_path(scene))
        return [request for request in requests if (request.method, request.path) == wanted]


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
        after_loss="read back",
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


def _v1(section: str, operation: str, make: Callable[..., Any], path: str = "", **more: Any) -> Documented:
    method, _, documented_path = OPERATIONS[operation].partition(" ")
    return Documented(f"v1 {section}", make, method, f"v1.{operation}", path or documented_path, api="v1", **more)


# The calls that both APIs have; the operation is the one that the call is about.
V1_COMMON = [
    _v1("search campaigns", "listSequences", DOCUMENTED[0].make),
    _v1("all campaigns", "listSequences", DOCUMENTED[1].make),
    _v1("one campaign", "getSequence", DOCUMENTED[2].make, "/sequences/{campaign}"),
    _v1("pause", "setSequenceStatus", DOCUMENTED[3].make, "/sequences/{campaign}/status"),
    _v1(
        "unpause", "setSequenceStatus", lambda client, scene: client.campaigns.unpause(scene.paused),
        "/sequences/{paused}/status", after_loss="read back",
    ),
    _v1("search prospect", "getLeadActivityByEmail", DOCUMENTED[5].make),
    _v1("prospects of a campaign", "listSequenceLeads", DOCUMENTED[6].make, "/sequences/{campaign}/leads"),
    _v1("one prospect", "getLeadActivity", DOCUMENTED[7].make, "/leads/{prospect}/activity"),
    _v1("add prospect", "addContacts", DOCUMENTED[8].make, after_loss="read back"),
    _v1("update prospect", "updateLead", DOCUMENTED[9].make, "/leads/{prospect}"),
    _v1("unsubscribe prospect", "unsubscribeLead", DOCUMENTED[10].make, "/leads/{prospect}/unsubscribe"),
    _v1("team members", "listUsers", DOCUMENTED[11].make),
]  # fmt: skip

_AFTER_LOSS = {
    **dict.fromkeys(("createList", "createSequence"), "read back"),
    **dict.fromkeys(
        ("addContacts", "cloneSequence", "updateSequence", "archiveContact", "deleteBlocklistEntry"), "stop"
    ),
}


def _own(call: v1_calls.Documented) -> Documented:
    return _v1(
        call.operation, call.operation, lambda client, _: call.make(client), call.path,
        after_loss=_AFTER_LOSS.get(call.operation, "repeat"),
    )  # fmt: skip


_ONE_OF_EACH = {call.operation: call for call in v1_calls.DOCUMENTED if call.operation != "getSenderHealth"}
V1_OWN = [
    *map(_own, _ONE_OF_EACH.values()),
    _v1(
        "getSenderHealth", "getSenderHealth",
        lambda client, _: client.senders.health(MAILBOXES[0].id)["sender_id"],
        f"/senders/{MAILBOXES[0].id}/health",
    ),
]  # fmt: skip
"""The API v1's own resources, one call for each operation."""

V1 = [*V1_COMMON, *V1_OWN]
EACH_API = [*DOCUMENTED, *V1]

ADDS = {"classic": DOCUMENTED[8], "v1": V1_COMMON[8]}
FIRST_READS = {"classic": DOCUMENTED[0], "v1": V1_COMMON[0]}


def _every(calls: Iterable[Documented]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("call", list(calls), ids=str)


every_call = _every(DOCUMENTED)
every_read = _every(call for call in DOCUMENTED if call.method == "GET")
every_call_of_each_api = _every(EACH_API)
every_read_of_each_api = _every(call for call in EACH_API if call.method == "GET")
every_write_of_each_api = _every(call for call in EACH_API if call.method != "GET")
every_repeatable_write_of_each_api = _every(
    call for call in EACH_API if call.method != "GET" and call.after_loss == "repeat"
)
each_api = pytest.mark.parametrize("api_version", ["classic", "v1"])
