"""The calls in the contract of the API v1: as calls of the client, and as the requests that they send."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.v1.conftest import Resources

ANA = "ana@example.com"
SINCE = datetime(2026, 9, 1, tzinfo=UTC)
UNTIL = datetime(2026, 9, 2, 2, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
FROM, TO = "1788220800000", "1788307200250"
WINDOW = {"from": FROM, "to": TO}

NOTHING = {"success": True}
ARRAY = {"success": True, "data": []}
OBJECT = {"success": True, "data": {}}


@dataclass(frozen=True)
class Documented:
    """One documented call.

    :param operation: its id in the contract.
    :param path: below the API's prefix.
    :param query: what its first request asks for.
    :param content: an answer that fits.
    """

    operation: str
    make: Callable[[Resources], Any]
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    content: Any = field(default_factory=lambda: OBJECT)

    def __str__(self) -> str:
        return f"{self.operation} {self.path}"


def offset(limit: int, **query: str) -> dict[str, str]:
    return {**query, "limit": str(limit), "skip": "0"}


def page(**query: str) -> dict[str, str]:
    return {**query, "per_page": "100", "page": "1"}


SETTINGS = {"senders": "s1,s2", "lists": ["l1"], "steps": [{"type": "email", "template_id": "t1"}]}

DOCUMENTED = [
    Documented("verifyAccount", lambda api: api.account.verify(), "/account/verify", content=NOTHING),
    Documented("listLists", lambda api: list(api.lists.list()), "/lists", offset(100), content=ARRAY),
    Documented(
        "listLists", lambda api: list(api.lists.list("Q3 & Q4", archived=True)),
        "/lists", offset(100, search="Q3 & Q4", archived="true"), content=ARRAY,
    ),
    Documented(
        "createList", lambda api: api.lists.create("Spring", folder="f1", starred=True),
        "/lists", body={"name": "Spring", "folder": "f1", "starred": True},
    ),
    Documented("getList", lambda api: api.lists.get("l1"), "/lists/l1"),
    Documented(
        "updateList", lambda api: api.lists.update("l1", duplicate_removal=True),
        "/lists/l1", body={"duplicate_removal": True}, content=NOTHING,
    ),
    Documented(
        "archiveList", lambda api: api.lists.archive("l1"),
        "/lists/l1/archive", body={"archived": True}, content=NOTHING,
    ),
    Documented(
        "archiveList", lambda api: api.lists.archive("l1", archived=False),
        "/lists/l1/archive", body={"archived": False}, content=NOTHING,
    ),
    Documented(
        "listListLeads", lambda api: list(api.lists.leads("l1")),
        "/lists/l1/leads", offset(100, sort="asc"), content=ARRAY,
    ),
    Documented(
        "listListLeads", lambda api: list(api.lists.leads("l1", search=ANA, archived=True)),
        "/lists/l1/leads", offset(100, sort="asc", search=ANA, archived="true"), content=ARRAY,
    ),
    Documented(
        "addContacts", lambda api: api.leads.add("l1", [{"Email": ANA, "First Name": "Ana", "Company": "Northwind"}]),
        "/contacts", content=NOTHING,
        body={
            "list_id": "l1", "remove_duplicates": True,
            "contacts": [{"email": ANA, "first_name": "Ana", "company_name": "Northwind"}],
        },
    ),
    Documented(
        "removeContact", lambda api: api.leads.remove("l1", ANA),
        "/contacts/remove", body={"list_id": "l1", "email": ANA}, content=NOTHING,
    ),
    Documented(
        "archiveContact",
        lambda api: api.endpoints.write("put", "/contacts/" + "ab" * 12 + "/archive", {"archived": True}),
        "/contacts/" + "ab" * 12 + "/archive", body={"archived": True}, content=NOTHING,
    ),
    Documented(
        "updateLead", lambda api: api.leads.update("p1", {"First Name": "Bo", "Phone": 49301234}),
        "/leads/p1", body={"first_name": "Bo", "phone": "49301234"},
    ),
    Documented(
        "moveLead", lambda api: api.leads.move("p1", "l2"), "/leads/p1/move", body={"list_id": "l2"}, content=NOTHING
    ),
    Documented("unsubscribeLead", lambda api: api.leads.unsubscribe("p1"), "/leads/p1/unsubscribe"),
    Documented(
        "getLeadActivity",
        lambda api: list(api.leads.activity(lead_id="p1", sequence_id="s1", since=SINCE, until=UNTIL)),
        "/leads/p1/activity", offset(500, sequence_id="s1", **WINDOW), content=ARRAY,
    ),
    Documented(
        "getLeadActivityByEmail", lambda api: list(api.leads.activity(email=ANA)),
        "/leads/activity", offset(500, email=ANA), content=ARRAY,
    ),
    Documented("listSequences", lambda api: list(api.sequences.list()), "/sequences", offset(100), content=ARRAY),
    Documented(
        "listSequences", lambda api: list(api.sequences.list("spring", status="Needs attention", archived=True)),
        "/sequences", offset(100, search="spring", status="needs-attention", archived="true"), content=ARRAY,
    ),
    Documented(
        "createSequence", lambda api: api.sequences.create(name="Spring", scheduledAt=SINCE, **SETTINGS),
        "/sequences", body={"name": "Spring", "scheduledAt": int(FROM), **SETTINGS},
    ),
    Documented("getSequence", lambda api: api.sequences.get("s1"), "/sequences/s1"),
    Documented(
        "updateSequence", lambda api: api.sequences.update("s1", scheduledAt=UNTIL, launchTimingMode="schedule"),
        "/sequences/s1", body={"scheduledAt": int(TO), "launchTimingMode": "schedule"}, content=NOTHING,
    ),
    Documented(
        "setSequenceStatus", lambda api: api.sequences.set_status("s1", "active"),
        "/sequences/s1/status", body={"status": "ACTIVE"},
    ),
    Documented(
        "setSequenceStatus", lambda api: api.sequences.set_status("s1", "Paused"),
        "/sequences/s1/status", body={"status": "PAUSED"},
    ),
    Documented(
        "archiveSequence", lambda api: api.sequences.archive("s1"),
        "/sequences/s1/archive", body={"archived": True}, content=NOTHING,
    ),
    Documented("cloneSequence", lambda api: api.sequences.clone("s1"), "/sequences/s1/clone"),
    Documented("getSequenceStats", lambda api: api.sequences.stats("s1"), "/sequences/s1/stats"),
    Documented(
        "listSequenceLeads", lambda api: list(api.sequences.leads("s1")),
        "/sequences/s1/leads", offset(500), content=ARRAY,
    ),
    Documented(
        "listSequenceLeads", lambda api: list(api.sequences.leads("s1", status="Not contacted")),
        "/sequences/s1/leads", offset(500, status="not_contacted"), content=ARRAY,
    ),
    Documented(
        "listLeadMessages", lambda api: list(api.sequences.messages("s1", "p1", since=SINCE, until=UNTIL)),
        "/sequences/s1/leads/p1/messages", offset(500, **WINDOW), content=ARRAY,
    ),
    Documented(
        "removeLeadFromSequence", lambda api: api.sequences.remove_lead("s1", "p1"),
        "/sequences/s1/leads/p1/unsubscribe", content=NOTHING,
    ),
    Documented(
        "exportSequenceLeads", lambda api: list(api.sequences.export("s1")),
        "/sequences/s1/export", {"limit": "50000"}, content="email\r\n",
    ),
    Documented("listBlocklist", lambda api: list(api.blocklist.list()), "/unsubscribe", offset(100), content=ARRAY),
    Documented(
        "listBlocklist", lambda api: list(api.blocklist.list(kind="domain", search="example")),
        "/unsubscribe", offset(100, type="domain", search="example"), content=ARRAY,
    ),
    Documented(
        "addToBlocklist", lambda api: api.blocklist.add([ANA, "example.org"]),
        "/unsubscribe", body={"emails": [ANA, "example.org"]}, content=NOTHING,
    ),
    Documented(
        "removeFromBlocklist", lambda api: api.blocklist.remove("example.org"),
        "/unsubscribe/remove", body={"emails": ["example.org"]}, content=NOTHING,
    ),
    Documented("checkBlocklist", lambda api: api.blocklist.check(ANA), "/unsubscribe/check", {"email": ANA}),
    Documented(
        "deleteBlocklistEntry", lambda api: api.endpoints.write("DELETE", "/unsubscribe/b1"),
        "/unsubscribe/b1", content=NOTHING,
    ),
    *(
        Documented(
            operation, lambda api, name=name: list(getattr(api.events, name)("s1", SINCE, UNTIL, email=ANA)),
            f"/{name}", page(**WINDOW, sequence_id="s1", recipient_email_address=ANA), content=[],
        )
        for operation, name in [
            ("listSent", "sent"), ("listOpens", "opens"), ("listClicks", "clicks"), ("listReplies", "replies"),
        ]
    ),
    Documented("listSent", lambda api: list(api.events.sent()), "/sent", page(), content=[]),
    Documented("listReports", lambda api: list(api.events.reports()), "/reports", offset(100), content=ARRAY),
    Documented(
        "listReports", lambda api: list(api.events.reports("Bounced", "s1", SINCE, UNTIL, email=ANA)),
        "/reports", offset(100, **WINDOW, message="Bounced", sequence="s1", email=ANA), content=ARRAY,
    ),
    Documented("analyticsOverall", lambda api: api.analytics.overall(SINCE, UNTIL), "/analytics/overall", WINDOW),
    Documented(
        "analyticsDaily", lambda api: api.analytics.daily(SINCE, timezone="Europe/Berlin"),
        "/analytics/daily", {"from": FROM, "timezone": "Europe/Berlin"}, content=ARRAY,
    ),
    Documented(
        "analyticsLeads", lambda api: list(api.analytics.leads(until=UNTIL)),
        "/analytics/lead-stats", offset(500, to=TO), content=ARRAY,
    ),
    Documented(
        "analyticsMailboxes", lambda api: list(api.analytics.mailboxes()),
        "/analytics/mailbox-stats", offset(500), content=ARRAY,
    ),
    Documented(
        "listInbox", lambda api: list(api.endpoints.read("/inbox", {"type": "sent"}, paging="offset")),
        "/inbox", offset(100, type="sent"), content={"success": True, "data": {"result": [], "count": 7}},
    ),
    Documented("listSenders", lambda api: list(api.senders.list()), "/senders", offset(100), content=ARRAY),
    Documented("getSenderHealth", lambda api: api.senders.health("m1"), "/senders/m1/health"),
    Documented("listUsers", lambda api: api.users.list(), "/users", content=ARRAY),
    Documented("listWorkspaces", lambda api: api.workspaces.list(), "/workspaces", content=ARRAY),
]  # fmt: skip

NOT_OFFERED = {"clearBlocklist"}
"""It empties the blocklist."""

every_call = pytest.mark.parametrize("call", DOCUMENTED, ids=str)
