"""What the sandbox's page shows, as JSON."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox.request_log import Request
    from airflow_provider_salesblink.sandbox.state import State
    from airflow_provider_salesblink.sandbox.store import Store

# The page redraws every second, so it shows only the latest entries.
MOST_REQUESTS = 50
MOST_PEOPLE = 200
MOST_EVENTS = 50
MOST_STARTS = 200
MOST_BLOCKED = 200

# One line per person and sequence: who starts twice is what the reader looks for.
STARTS = """
SELECT email, sequence_id, group_concat(DISTINCT reason), count(*) times, max(at) FROM start
GROUP BY lower(trim(email)), sequence_id ORDER BY times > 1 DESC, max(n) DESC LIMIT ?
"""


def page_state(state: State) -> dict[str, Any]:
    """Return everything that the page shows, as JSON. The keys are not part of it."""
    state.imports.catch_up()
    names = {campaign.id: campaign.name for campaign in state.store.campaigns()}
    return {
        **_outreach(state.store, names),
        "lists": _lists(state.store, names),
        "starts": _starts(state.store, names),
        "starts_total": state.store.run("SELECT count(*) FROM start")[0][0],
        "blocklist": _blocklist(state.store),
        "requests": [_request(entry) for entry in reversed(state.request_log.entries()[-MOST_REQUESTS:])],
        "happenings": [asdict(event) for event in reversed(state.events.entries()[-MOST_EVENTS:])],
        "life": [str(habit) for habit in state.scheduler.habits],
        "faults": state.faults.descriptions(),
        "limits": asdict(state.rate_limiter.limits),
        "shapes": asdict(state.shapes),
        "v1": asdict(state.store.rules),
    }


def _outreach(store: Store, names: dict[str, str]) -> dict[str, Any]:
    counts = store.counts()
    return {
        "campaigns": [
            asdict(campaign) | dict(zip(("people", "unsubscribed"), counts.get(campaign.id, (0, 0)), strict=True))
            for campaign in store.campaigns()
        ],
        "people": [
            {
                "id": person.id,
                "email": person.email,
                "campaign_id": person.campaign_id,
                "campaign": names.get(person.campaign_id, person.campaign_id),
                "columns": person.fields,
                "unsubscribed": person.unsubscribed,
                "archived": person.archived,
                "changed": changed,
            }
            for person, changed in store.recently_changed(MOST_PEOPLE)
        ],
        "people_total": sum(people for people, _ in counts.values()),
    }


def _lists(store: Store, names: dict[str, str]) -> list[dict[str, Any]]:
    users: dict[str, list[str]] = {}
    for campaign_id, name in names.items():
        for list_id in store.lists.of_campaign(campaign_id):
            users.setdefault(list_id, []).append(name)
    return [
        asdict(each.state) | {"leads": store.lists.size(each.id), "campaigns": users.get(each.id, [])}
        for each in store.lists.all()
    ]


def _starts(store: Store, names: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "email": email,
            "campaign": names.get(sequence_id, sequence_id),
            "reasons": reasons.split(","),
            "times": times,
            "at": at,
        }
        for email, sequence_id, reasons, times, at in store.run(STARTS, MOST_STARTS)
    ]


def _blocklist(store: Store) -> list[dict[str, Any]]:
    found = [*store.blocklist.entries(by="administrator"), *store.blocklist.entries(by="member")]
    latest = sorted(found, key=lambda entry: entry.created, reverse=True)[:MOST_BLOCKED]
    return [asdict(entry) | {"kind": entry.kind} for entry in latest]


def _request(entry: Request) -> dict[str, Any]:
    path = f"{entry.path}?{entry.query}" if entry.query else entry.path
    arrived = time.time() - (time.monotonic() - entry.at)
    return {"time": arrived, "method": entry.method, "path": path, "status": entry.status, "fault": entry.fault}
