"""Adds on the API v1: SalesBlink only accepts people and imports them later. Each is on the list once, started once."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AmbiguousWriteError, SalesBlinkClient
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.loading import RunOptions, load
from airflow_provider_salesblink.loading.add_person import add_person
from airflow_provider_salesblink.loading.destination import ListChoice
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from airflow_provider_salesblink.sandbox import V1Rules
from tests.conftest import HASTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient
    from tests.conftest import CampaignUnderTest

    Add = Callable[[SalesBlinkClient, str, dict[str, str]], Any]

BO = {"Email": "bo@example.com"}
LATER = V1Rules(import_delay=0.05, dedupe_delay=0.05, mails_before_dedupe=True)
PATIENT = Policy(max_attempts=12, settling_time=0.0, import_time=1.0, backoff=0.06, longest_backoff=0.06)
"""It waits for an import for much longer than one takes."""


@pytest.fixture
def later(sandbox: Sandbox) -> Sandbox:
    """The sandbox, which imports people some time after it accepted them."""
    sandbox.v1 = LATER
    return sandbox


def add_each(sandbox: Sandbox, client: SalesBlinkClient, people: dict[str, str], add: Add) -> None:
    """Add people from eight threads while a fifth of the requests fails, before and after the write.

    :param people: address -> campaign.
    """
    for kind, when in (("reset", "before"), ("reset", "after"), ("status", "before"), ("status", "after")):
        sandbox.fault("v1.addContacts", kind, when=when, share=0.05, status=500)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda email: add(client, people[email], {"Email": email, "First Name": "P"}), people))


def assert_each_once(sandbox: Sandbox, people: Iterable[str]) -> None:
    sandbox.advance(60)
    everywhere = [lead.email for each in sandbox.lists() for lead in sandbox.leads(each.id)]
    started = Counter(start.email for start in sandbox.started)
    assert sorted(everywhere) == sorted(people)
    assert started == Counter(list(people))


ADDS: list[Add] = [
    lambda client, campaign_id, person: client.prospects.add(campaign_id, person),
    add_person,
]


@pytest.mark.parametrize(("add", "many"), zip(ADDS, (500, 200), strict=True), ids=["client", "add_person"])
def test_many_adds_with_a_fifth_of_the_requests_failing_start_everybody_once(
    later: Sandbox, new_client: NewClient, tmp_path: Path, add: Add, many: int
) -> None:
    client = new_client(policy=PATIENT, pacing_url=f"file://{tmp_path}/shared.sqlite")
    # The sandbox searches short lists faster.
    campaigns = [later.add_campaign(f"Spring {number}") for number in range(10)]
    people = {f"p{number}@example.com": campaigns[number % 10] for number in range(many)}

    add_each(later, client, people, add)

    assert_each_once(later, people)
    faults = Counter(request.fault for request in later.requests if request.fault)
    assert faults.keys() == {"reset", "reset after", "status 500", "status 500 after"}
    assert sum(faults.values()) > 0.15 * many


@pytest.mark.parametrize(
    "rule",
    [
        {"mails_before_dedupe": False},
        {"dedupe_keeps": "newest"},
        {"dedupe_case": "exact"},
        {"duplicate_removal_other_list": True},
        {"columns": "any"},
        {"import_delay": 0},
        {"dedupe_delay": 0},
        {"dedupe_delay": 5},
        {"lists_in_listing": False},
        {"archived_leads": "included"},
        {"lead_columns": "custom_fields"},
        {"lead_case": "title"},
        {"activity_lead": "newest"},
        {"unran_lists_leads": True},
        {"single_list": "array"},
    ],
    ids=lambda rule: "-".join(f"{name}={value}" for name, value in rule.items()),
)
@pytest.mark.parametrize("add", ADDS, ids=["client", "add_person"])
def test_whatever_the_api_does_everybody_starts_once(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, tmp_path: Path, add: Add, rule: dict[str, Any]
) -> None:
    later.v1 = replace(LATER, **rule)
    client = new_client(policy=PATIENT, pacing_url=f"file://{tmp_path}/shared.sqlite")
    people = dict.fromkeys((f"P{number}@Example.com" for number in range(20)), campaign.id)

    add_each(later, client, people, add)

    assert_each_once(later, people)


def test_in_a_sequence_that_needs_evergreen_nobody_starts_before_its_next_run(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    later.v1 = replace(LATER, needs_evergreen=True)
    client = new_client(policy=PATIENT)

    client.prospects.add(campaign.id, BO)

    assert [lead.email for lead in later.leads(later.lists(campaign.id)[0].id)] == [BO["Email"]]
    assert later.started == []


# Accepted, but not there


@pytest.mark.parametrize("add", ADDS, ids=["client", "add_person"])
def test_who_never_appears_is_ambiguous_and_nobody_is_added_twice(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, tmp_path: Path, add: Add
) -> None:
    later.v1 = replace(LATER, import_loses=0.5)
    client = new_client(policy=replace(PATIENT, import_time=0.5), pacing_url=f"file://{tmp_path}/shared.sqlite")
    people = [f"p{number}@example.com" for number in range(40)]

    def try_to_add(email: str) -> AmbiguousWriteError | None:
        try:
            add(client, campaign.id, {"Email": email})
        except AmbiguousWriteError as error:
            return error
        return None

    with ThreadPoolExecutor(8) as threads:
        failed = dict(zip(people, threads.map(try_to_add, people), strict=True))

    missing = {email: error for email, error in failed.items() if error}
    assert 5 < len(missing) < 35
    for error in missing.values():
        assert "Check the list before you add them again" in str(error)
        assert (error.status, error.method, error.path, error.permanent) == (200, "POST", "/contacts", False)
    assert sum(request.method == "POST" for request in later.requests) == len(people)
    assert_each_once(later, [email for email in people if email not in missing])


def test_who_is_known_on_another_list_never_appears(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    later.v1 = replace(LATER, duplicate_removal_other_list=True, dedupe_delay=0, mails_before_dedupe=False)
    later.add_lead(later.add_list("Another"), BO)

    with pytest.raises(AmbiguousWriteError, match="somebody on another list"):
        new_client(policy=HASTE).prospects.add(campaign.id, BO)

    assert later.started == []
    assert sum(request.method == "POST" for request in later.requests) == 1


def test_the_add_waits_until_the_list_shows_the_person(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    later.v1 = replace(LATER, import_delay=0.5)

    added = new_client(policy=PATIENT).prospects.add(campaign.id, {"Email": " Bo@Example.com ", "Job Title": "CTO"})

    (lead,) = later.leads(later.lists(campaign.id)[0].id)
    assert (added["id"], added["email"], added["campaign_id"]) == (lead.id, "Bo@Example.com", campaign.id)
    assert added["fields"]["Job Title"] == "CTO"
    assert sum(request.method == "POST" for request in later.requests) == 1


def test_a_lost_add_is_not_sent_again_while_it_may_still_be_imported(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    later.v1 = replace(LATER, import_delay=1.0)
    later.fault("v1.addContacts", "reset", when="after")

    new_client(policy=PATIENT).prospects.add(campaign.id, BO)

    assert sum(request.method == "POST" for request in later.requests) == 1
    assert_each_once(later, [BO["Email"]])


def test_a_look_up_that_had_to_wait_for_the_rate_limit_is_not_the_last(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    later.v1 = replace(LATER, import_delay=0.3)
    later.fault("v1.addContacts", "reset", when="after")
    # The first look-up reads the list, and then waits for the archived leads until after the import.
    later.fault("v1.listListLeads", "slow", seconds=0)
    later.fault("v1.listListLeads", "429")

    new_client(policy=replace(PATIENT, import_time=0.5, rate_limit_window=1.0)).prospects.add(campaign.id, BO)

    assert sum(request.method == "POST" for request in later.requests) == 1
    assert_each_once(later, [BO["Email"]])


@pytest.mark.parametrize("archived_leads", ["left_out", "included"])
def test_who_is_archived_at_once_is_found(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, archived_leads: Any
) -> None:
    # With archive_invalid, SalesBlink archives those whose address it verifies as invalid.
    later.v1 = replace(LATER, archived_leads=archived_leads, import_loses=1)
    known = later.add_lead(later.lists(campaign.id)[0].id, BO, archived=True)

    assert new_client(policy=HASTE).prospects.add(campaign.id, BO)["id"] == known


def test_send_sends_once_and_does_not_read_the_list(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    with pytest.raises(AmbiguousWriteError, match="accepted the person") as caught:
        new_client(policy=replace(PATIENT, import_time=4)).prospects.send(campaign.id, [BO])

    assert caught.value.settling_time == 4
    assert [request.path.rpartition("/")[2] for request in later.requests] == [campaign.id, "sequences", "contacts"]
    assert_each_once(later, [BO["Email"]])


def test_a_dry_run_sends_nothing(later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest) -> None:
    client = new_client(dry_run=True)

    assert client.prospects.add(campaign.id, BO).get("dry_run")
    client.prospects.send(campaign.id, [BO])

    assert {request.method for request in later.requests} == {"GET"}


# The rate limit


@pytest.mark.parametrize(("operation", "method"), [("v1.addContacts", "POST"), ("v1.listListLeads", "GET")])
def test_a_429_without_retry_after_is_followed_by_no_request_of_its_kind_within_the_window(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, operation: str, method: str
) -> None:
    window = 3.0
    client = new_client(policy=replace(PATIENT, rate_limit_window=window))
    client.prospects.add(campaign.id, {"Email": "first@example.com"})
    later.fault(operation, "429")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: client.prospects.add(campaign.id, {"Email": f"p{n}@example.com"}), range(24)))

    (limited,) = (request for request in later.requests if request.status == 429)
    after = [request.at - limited.at for request in later.requests if request.method == method]
    # Requests that were under way when the 429 came do not count.
    assert [at for at in after if 1.0 < at < window] == []
    assert max(after) >= window
    assert_each_once(later, ["first@example.com", *(f"p{n}@example.com" for n in range(24))])


def test_the_list_of_a_campaign_is_not_read_again_for_each_person(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    client = new_client(policy=PATIENT)

    for number in range(5):
        client.prospects.add(campaign.id, {"Email": f"p{number}@example.com"})

    assert sum("/sequences" in request.path for request in later.requests) == 2


def test_two_clients_that_add_one_person_add_them_once(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    clients = [new_client(policy=PATIENT, pacing_url=f"file://{tmp_path}/shared.sqlite") for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        outcomes = [outcome for outcome, _ in threads.map(lambda client: add_person(client, campaign.id, BO), clients)]

    assert sorted(outcomes) == ["added", "skipped", "skipped", "skipped"]
    assert_each_once(later, [BO["Email"]])


@pytest.mark.parametrize("kind", ["added", "skipped"])
def test_the_second_add_of_a_person_is_skipped(
    later: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, tmp_path: Path, kind: str
) -> None:
    client = new_client(policy=PATIENT, pacing_url=f"file://{tmp_path}/shared.sqlite")
    before = time.monotonic()
    if kind == "skipped":
        add_person(client, campaign.id, {"Email": "BO@example.com"})

    outcome, prospect = add_person(client, campaign.id, BO)

    assert outcome == kind
    assert prospect["id"] == later.leads(later.lists(campaign.id)[0].id)[0].id
    assert time.monotonic() - before < 10


@pytest.mark.parametrize("campaign_lists", [[], ["own"]], ids=["no list", "a list of its own"])
def test_a_person_on_the_given_list_of_a_campaign_is_not_added_again(
    campaign_lists: list[str], later: Sandbox, new_client: NewClient, tmp_path: Path
) -> None:
    own = later.add_list("Own", id="own")
    campaign_id = later.add_campaign("Spring", lists=campaign_lists)
    later.add_campaign("Autumn", lists=[own])
    client = new_client(policy=PATIENT, pacing_url=f"file://{tmp_path}/shared.sqlite")
    choice = ListChoice(own, allow_other_campaigns=True)

    added = [add_person(client, campaign_id, BO, list_choice=choice)[0] for _ in range(2)]
    rows = from_mappings([BO, {"Email": "cy@example.com"}], ColumnNames())
    report = load(client, campaign_id, rows, run=RunOptions(list_choice=choice))

    assert added == ["added", "skipped"]
    assert (report.planned.there, report.added) == (1, 1)
    later.advance(60)
    starts = Counter((start.sequence_id, start.email) for start in later.started)
    assert set(starts.values()) == {1}


def test_a_person_who_was_mailed_and_then_removed_is_not_added_again(
    later: Sandbox, new_client: NewClient, tmp_path: Path
) -> None:
    later.v1 = replace(LATER, duplicate_removal_other_list=True)
    later.add_lead(later.add_list("Other"), {"email": BO["Email"]})
    campaign_id = later.add_campaign("Spring")
    client = new_client(policy=PATIENT, pacing_url=f"file://{tmp_path}/shared.sqlite")

    with suppress(AmbiguousWriteError):
        add_person(client, campaign_id, BO)
    later.advance(60)
    assert later.people(campaign_id) == []

    assert add_person(client, campaign_id, BO)[0] == "skipped"
    assert [start.email for start in later.started] == [BO["Email"]]
