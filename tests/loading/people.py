"""People to load, and how to see that each is there once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Request, Sandbox


def people(many: int, start: int = 0) -> list[dict[str, str]]:
    return [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(start, start + many)]


def addresses(sandbox: Sandbox) -> list[str]:
    """Who is in the campaigns, in any order."""
    return sorted(person.email.casefold() for person in sandbox.people())


def assert_each_once(sandbox: Sandbox, expected: list[dict[str, str]]) -> None:
    found = Counter(addresses(sandbox))
    wanted = {row["Email"].casefold() for row in expected}
    lost, twice = wanted - found.keys(), {who for who, times in found.items() if times > 1}
    assert (len(lost), len(twice), found.keys() - wanted) == (0, 0, set())


def writes(sandbox: Sandbox) -> list[str]:
    """What was sent to change something: the last part of each path."""
    return [request.path.rpartition("/")[2] for request in sandbox.requests if request.method != "GET"]


def reads(sandbox: Sandbox) -> int:
    """How often a campaign was read. On v1 this begins with the export, or with the first page of the sequence."""
    before = ["", *(request.path for request in sandbox.requests)]
    return sum(
        "/prospects/" in request.path
        or request.path.endswith("/export")
        or (_is_first_page_on_v1(request) and not last.endswith("/export"))
        for last, request in zip(before, sandbox.requests, strict=False)
    )


def _is_first_page_on_v1(request: Request) -> bool:
    _, is_sequence, rest = request.path.partition("/sequences/")
    return bool(is_sequence) and rest.endswith("/leads") and "skip=0" in request.query


def look_ups(sandbox: Sandbox) -> int:
    """How often a person was looked up in all campaigns."""
    return sum(
        request.path.endswith(("/prospect", "/leads/activity")) and request.method == "GET"
        for request in sandbox.requests
    )


def accounted_for(report: Report) -> int:
    """How many rows the report says something of; each row once."""
    summary = report.for_xcom()
    names = ("added", "there", "updated", "opted_out", "repeats", "rejected", "taken_by_others", "missing")
    return sum(summary[name] for name in names)
