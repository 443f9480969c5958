"""Loads on the API v1: many people a call, imported later, with opt-outs read in bulk."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError, SalesBlinkError
from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.loading.destination import ListChoice
from airflow_provider_salesblink.loading.read_back import MOST_RESENDS, StillImportingError
from airflow_provider_salesblink.sandbox import V1Rules
from tests.conftest import HASTE
from tests.loading.people import accounted_for, assert_each_once, people, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Request, Sandbox

pytestmark = [pytest.mark.apis("v1")]

IMPORT_TIME = 1.5


@pytest.fixture
def client(new_client: Callable[..., SalesBlinkClient]) -> SalesBlinkClient:
    """A client that gives SalesBlink a short time for imports."""
    return new_client(policy=replace(HASTE, import_time=IMPORT_TIME))


def reads_since(sandbox: Sandbox, start: int) -> int:
    return sum(request.method == "GET" for request in sandbox.requests[start:])


def pages_of_lists(requests: list[Request]) -> int:
    """Count the requests for leads that are not archived, oldest first."""
    return sum(
        "/lists/" in request.path and "sort=asc" in request.query and "archived" not in request.query
        for request in requests
    )


def assert_started_once(sandbox: Sandbox, rows: list[dict[str, str]]) -> None:
    assert sorted(start.email for start in sandbox.started) == sorted(row["Email"] for row in rows)


# How many requests


def test_ten_thousand_people_take_few_requests_and_once_there_no_write(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    rows, client = people(10_000), new_client(timeout=60)

    report = load_rows(rows, client=client)

    assert (report.added, accounted_for(report)) == (10_000, 10_000)
    assert len(writes(sandbox)) == 20
    assert reads_since(sandbox, 0) <= 40
    assert_each_once(sandbox, rows)
    assert_started_once(sandbox, rows)

    first = len(sandbox.requests)
    again = load_rows(rows, client=client)
    assert (again.added, again.planned.there, len(writes(sandbox))) == (0, 10_000, 20)
    assert reads_since(sandbox, first) <= 10

    more = load_rows(people(10_000, start=10_000), client=client)
    assert (more.added, len(writes(sandbox))) == (10_000, 40)


@pytest.mark.parametrize(
    "rule",
    [
        {"export": "no_state"}, {"export": "none"}, {"list_count": "missing"}, {"list_count": "all"},
        {"archived_leads": "included"}, {"lead_case": "title"}, {"import_archives": 0.3}, {"dedupe_keeps": "newest"},
        {"unran_lists_leads": True},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("paused", [False, True])
def test_who_is_there_is_seen_however_little_the_cheap_answers_show(
    paused: bool, rule: dict[str, Any], sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    sandbox.v1 = V1Rules(**rule)
    campaign = sandbox.add_campaign("Autumn", paused=paused)
    rows = people(730)

    assert load_rows(rows, campaign_id=campaign).added == 730
    sent = len(writes(sandbox))
    again = load_rows(rows, campaign_id=campaign)

    assert (again.added, again.planned.there, len(writes(sandbox))) == (0, 730, sent)
    assert_each_once(sandbox, rows)


def test_the_log_says_before_the_first_write_how_many_requests_a_load_takes(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")

    load_rows(people(1_200), client=new_client(writes_per_minute=2, reads_per_minute=100, dry_run=True))
    load_rows(people(1_200), client=new_client(writes_per_minute=15, reads_per_minute=100))

    assert "Writes: 3 (dry run: not sent" in caplog.text
    assert "Writes to send: 3, at 15 a minute; 500 people a call: no waiting for the limit." in caplog.text
    assert len(writes(sandbox)) == 3


def test_after_the_plan_is_made_nobody_needs_the_columns_again(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    load_rows(people(600))
    start = len(sandbox.requests)

    report = load_rows([{**row, "Company": "Acme"} for row in people(620, start=590)], mode="upsert")

    assert (report.updated, report.added) == (10, 610)
    sent = sandbox.requests[start:]
    added = next(number for number, request in enumerate(sent) if request.method == "POST")
    assert pages_of_lists(sent[:added]) >= 6
    assert pages_of_lists(sent[added:]) == 0


def test_people_on_the_list_who_are_not_in_the_sequence_are_seen(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    load_rows(people(300))
    sandbox.v1 = V1Rules(needs_evergreen=True)
    load_rows(people(250, start=300))
    sent = len(writes(sandbox))

    again = load_rows(people(550))

    assert (again.planned.there, len(writes(sandbox))) == (550, sent)


# Faults

FAULTS: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "reset", "when": "after"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "html"},
]


@pytest.mark.parametrize(
    "rule",
    [{}, {"import_delay": 1.0}, {"dedupe_delay": 1.0, "mails_before_dedupe": True}, {"import_loses": 0.1}],
    ids=str,
)
def test_on_a_bad_day_everybody_starts_once(
    rule: dict[str, Any], sandbox: Sandbox, load_rows: Callable[..., Report], client: SalesBlinkClient
) -> None:
    sandbox.v1 = V1Rules(**rule)
    for fault in FAULTS:
        sandbox.fault("v1.addContacts", share=0.08, **fault)
    rows = people(3_000)

    report = load_rows(rows, client=client, settling_time=IMPORT_TIME, max_rejected=3_000)

    rejected = report.planned.rejected
    assert (report.added, accounted_for(report)) == (3_000 - rejected, 3_000)
    assert rejected <= 3_000 * rule.get("import_loses", 0) ** MOST_RESENDS
    there = {person.email for person in sandbox.people()}
    assert_each_once(sandbox, [row for row in rows if row["Email"] in there])
    assert len(there) == report.added
    assert_started_once(sandbox, [row for row in rows if row["Email"] in there])
    in_doubt = report.ambiguous
    assert in_doubt.lost == in_doubt.carried_out + in_doubt.not_carried_out


def test_a_call_that_is_refused_for_one_row_adds_the_others(sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    # SalesBlink refuses a call in which nobody is valid; it stands for all reasons that concern single rows.
    sandbox.fault("v1.addContacts", "status", status=422, times=3)
    rows = people(20)

    report = load_rows(rows, max_rejected=20)

    assert report.planned.rejected == 0
    assert report.added == 20
    assert_each_once(sandbox, rows)


def test_two_columns_with_one_name_stop_the_load_once(sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    rows = [{**row, "Job Title": "CEO", "job-title": "CTO"} for row in people(600)]

    with pytest.raises(
        InvalidInputError, match=r"A row has two columns, 'Job Title' and 'job-title'.*Nothing was sent"
    ):
        load_rows(rows)

    assert writes(sandbox) == []


def test_a_reason_that_concerns_every_call_ends_after_a_bounded_number_of_them(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    sandbox.fault("v1.addContacts", "status", status=422, times=None)

    with pytest.raises(LoadFailedError, match="1,000 of 1,000 rows refused"):
        load_rows(people(1_000))

    assert len(writes(sandbox)) <= 40
    assert sandbox.people() == []


@pytest.mark.parametrize("rule", [{"import_loses": 1.0}, {"duplicate_removal_other_list": True}], ids=str)
def test_who_never_shows_is_a_reject_after_a_bounded_number_of_sends(
    rule: dict[str, Any], sandbox: Sandbox, load_rows: Callable[..., Report], client: SalesBlinkClient
) -> None:
    other = sandbox.add_list("Known")
    for row in people(3):
        sandbox.add_lead(other, row)
    sandbox.v1 = V1Rules(**rule, mails_before_dedupe=False)

    with pytest.raises(LoadFailedError, match=r"3 of 3 rows refused.*accepted the person several times") as failed:
        load_rows(people(3), client=client, settling_time=0.3)

    assert failed.value.permanent
    assert len(writes(sandbox)) == 1 + MOST_RESENDS
    assert sandbox.started == []


def test_a_load_that_may_not_wait_for_an_import_goes_on_later(
    sandbox: Sandbox, load_rows: Callable[..., Report], client: SalesBlinkClient
) -> None:
    rows = people(700)
    sandbox.v1 = V1Rules(import_delay=60)

    with pytest.raises(StillImportingError) as waiting:
        load_rows(rows, client=client, owner="a", settling_time=100, longest_wait=2)

    done = waiting.value.report.done()
    assert (done["added"], len(writes(sandbox))) == (0, 2)
    assert 0 < (waiting.value.retry_after or 0) <= 60
    with pytest.raises(StillImportingError):
        load_rows(rows, client=client, owner="a", settling_time=100, longest_wait=2, done_before=done)
    assert len(writes(sandbox)) == 2
    sandbox.advance(60)
    report = load_rows(rows, client=client, owner="a", settling_time=100, longest_wait=2, done_before=done)
    assert len(writes(sandbox)) == 2
    assert accounted_for(report) == 700
    assert_started_once(sandbox, rows)


# Opt-outs


@pytest.mark.parametrize("many", [5, 600])
def test_nobody_who_opted_out_in_the_account_is_added(
    many: int, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = [
        *people(many),
        {"Email": "ana@blocked.example"},
        {"Email": "Bo@Elsewhere.example"},
        {"Email": "c@x.example"},
    ]
    sandbox.block("blocked.example")
    sandbox.block("bo@elsewhere.example")
    autumn = sandbox.add_campaign("Autumn")
    gone = sandbox.add_person(autumn, {"Email": "c@x.example"}, unsubscribed=True)
    assert gone

    report = load_rows(rows)

    assert (report.added, report.planned.opted_out, accounted_for(report)) == (many, 3, many + 3)
    assert not {"ana@blocked.example", "bo@elsewhere.example"} & {start.email.casefold() for start in sandbox.started}


def test_an_opt_out_in_the_log_counts_although_the_blocklist_has_forgotten_it(
    sandbox: Sandbox, load_rows: Callable[..., Report], client: SalesBlinkClient
) -> None:
    autumn = sandbox.add_campaign("Autumn")
    lead = sandbox.add_person(autumn, {"Email": "ana@example.com"})
    client.prospects.unsubscribe(lead)
    client.blocklist.remove("ana@example.com")

    report = load_rows([*people(50), {"Email": "Ana@example.com"}])

    assert (report.added, report.planned.opted_out) == (50, 1)


@pytest.mark.parametrize("operation", ["v1.listBlocklist", "v1.listReports"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 400}),
        ("status", {"status": 403}),
        ("html", {}),
        ("reset", {}),
    ],
    ids=str,
)
def test_opt_outs_that_cannot_be_read_stop_the_load_before_anything_is_sent(
    operation: str, kind: str, options: dict[str, Any], sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    sandbox.fault(operation, kind, times=None, **options)

    with pytest.raises(SalesBlinkError):
        load_rows(people(9_000))

    assert writes(sandbox) == []
    # It is asked for once, with the client's retries.
    assert sum(request.fault is not None for request in sandbox.requests) <= HASTE.max_attempts


# Several loads


def test_two_loads_of_the_same_people_into_two_lists_of_a_campaign_start_everybody_once(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    lists = [sandbox.add_list("First"), sandbox.add_list("Second")]
    campaign = sandbox.add_campaign("Autumn", lists=lists)
    assert_two_loads_start_everybody_once(
        sandbox,
        [
            lambda rows, list_id=list_id: load_rows(
                rows, client=new_client(), campaign_id=campaign, list_choice=ListChoice(list_id)
            )
            for list_id in lists
        ],
    )


def test_two_loads_of_the_same_people_into_two_campaigns_that_share_a_list_start_nobody_twice_in_one(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    shared = sandbox.add_list("Shared")
    campaigns = [sandbox.add_campaign(name, lists=[shared]) for name in ("One", "Two")]
    choice = ListChoice(None, allow_other_campaigns=True)
    loads: list[Callable[..., Report]] = [
        lambda rows, campaign=campaign: load_rows(rows, client=new_client(), campaign_id=campaign, list_choice=choice)
        for campaign in campaigns
    ]
    reports = at_once(loads, people(800))

    assert sum(report.added for report in reports) == 800
    assert_each_once(sandbox, people(800))
    starts = [(start.email, start.sequence_id) for start in sandbox.started]
    assert len(starts) == len(set(starts)) == 1600


def assert_two_loads_start_everybody_once(sandbox: Sandbox, loads: list[Callable[..., Report]]) -> None:
    rows = people(800)

    reports = at_once(loads, rows)

    assert sum(report.added for report in reports) == 800
    assert_each_once(sandbox, rows)
    assert_started_once(sandbox, rows)


def at_once(loads: list[Callable[..., Report]], rows: list[dict[str, str]]) -> list[Report]:
    """Run loads at once, each with the people in another order."""
    found: list[Report] = []
    orders = (rows, rows[::-1])
    threads = [
        threading.Thread(target=lambda one=one, order=order: found.append(one(order)))
        for one, order in zip(loads, orders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
