"""What tests that run on both APIs share: they name calls as the classic API does, and see the same writes on both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.lead_columns import classic_name, snake_case

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Request, Sandbox

BOTH = ("classic", "v1")

Write = tuple[str, str, Any]
"""What a write does, the id of what it changes, and the columns that it sends."""

_ON_V1 = {
    "campaign": "v1.getSequence",
    "campaigns": "v1.listSequences",
    "campaign-status": "v1.setSequenceStatus",
    "my-team": "v1.listUsers",
    "prospect": "v1.getLeadActivityByEmail",
    "prospects": "v1.listListLeads",
    "prospect-add": "v1.addContacts",
    "prospect-update": "v1.updateLead",
    "prospect-unsubscribe": "v1.unsubscribeLead",
}
"""The operation of each API that the same step of a task calls."""


class Api:
    """One of the two APIs, as tests see it."""

    def __init__(self, version: str, sandbox: Sandbox) -> None:
        self.version = version
        self._sandbox = sandbox
        self.batch_size: int | None = None
        """How many people a load on v1 sends in a call, if not as many as possible."""
        self.reads_of_look_up = 2 if self.is_v1 else 1
        """Requests with which a task finds out whether a person is in a campaign with one list. Faults count them."""

    @property
    def is_v1(self) -> bool:
        return self.version == "v1"

    def fault(self, operation: str, kind: str, **options: Any) -> None:
        """Add a fault to an operation, which has the name of the classic API."""
        self._sandbox.fault(_ON_V1[operation] if self.is_v1 else operation, kind, **options)

    def columns(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return a task's columns under the names that SalesBlink gets: on v1, the user's own are in snake_case."""
        return {classic_name(snake_case(name)): value for name, value in given.items()} if self.is_v1 else given

    def writes(self) -> list[Write]:
        """Return the writes that reached SalesBlink so far. The fields that were set of one person are one write."""
        found: list[Write] = []
        for request in self._sandbox.requests:
            if request.method == "GET":
                continue
            word, changed, columns = _write_on_v1(request) if self.is_v1 else _write_on_classic(request)
            if found and word == "update" and found[-1][:2] == (word, changed):
                columns = {**found.pop()[2], **columns}
            found.append((word, changed, columns))
        return found


def _write_on_classic(request: Request) -> Write:
    body = request.body
    match request.path.rsplit("/", 1)[-1]:
        case "campaign-status":
            return "pause" if body["pause"] else "unpause", body["campaignID"], None
        case "prospect-add":
            return "add", body["campaignID"], body["data"]
        case "prospect-unsubscribe":
            return "unsubscribe", body["prospectID"], None
        case _:
            return "update", body["prospectID"], {body["key"]: body["value"]}


def _write_on_v1(request: Request) -> Write:
    *_, resource, found_id, action = request.path.split("/")
    if request.method == "PATCH":
        return "update", action, {classic_name(name): value for name, value in request.body.items()}
    if action == "contacts":
        (contact,) = request.body["contacts"]
        return "add", request.body["list_id"], {classic_name(name): value for name, value in contact.items()}
    if action == "status":
        return {"PAUSED": "pause", "ACTIVE": "unpause"}[request.body["status"]], found_id, None
    assert (resource, action) == ("leads", "unsubscribe"), request
    return "unsubscribe", found_id, None
