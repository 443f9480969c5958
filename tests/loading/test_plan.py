"""What each mode sends, what it refuses, and what it reports."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import InvalidInputError, NotFoundError, UnreadableResponseError
from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.sandbox import Shapes
from tests.loading.people import accounted_for, addresses, people, reads, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Mode, Report
    from airflow_provider_salesblink.loading.rows import Reject
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

THERE = [
    {"Email": "Same@example.com", "Company": "X"},
    {"Email": "changed@example.com", "Company": "Old", "City": "Rome"},
    *({"Email": f"gone{number}@example.com"} for number in range(2)),
]
ROWS = [
    {"Email": "same@EXAMPLE.com ", "Company": "X"},
    {"Email": "changed@example.com", "Company": "New", "City": ""},
    {"Email": "out@example.com", "Company": "New"},
    {"Email": "new@example.com", "Company": "New"},
    {"Email": "NEW@example.com", "Company": "Again"},
    {"Email": "nobody", "Company": "New"},
]


def of_mode(mode: Mode) -> list[dict[str, str]]:
    """A mirror unsubscribes nobody while a row is refused."""
    return ROWS[:-1] if mode == "mirror" else ROWS


@pytest.fixture
def inhabited(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    for columns in THERE:
        sandbox.add_person(campaign.id, columns)
    sandbox.add_person(campaign.id, {"Email": "out@example.com", "Company": "Old"}, unsubscribed=True)


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize(
    "shapes", [Shapes(), Shapes(envelope="bare", columns="data", email_key="email", id_style="_id")]
)
@pytest.mark.parametrize(("mode", "sent"), [
    ("insert", ["prospect-add"]),
    ("upsert", ["prospect-add", "prospect"]),
    ("mirror", ["prospect-add", "prospect", "prospect-unsubscribe", "prospect-unsubscribe"]),
])  # fmt: skip
def test_a_mode_sends_what_it_says_and_nothing_else(
    mode: Mode, sent: list[str], shapes: Shapes, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    sandbox.shapes = shapes

    rows = of_mode(mode)
    report = load_rows(rows, mode=mode, max_rejected=1, max_unsubscribes=0.5)

    assert writes(sandbox) == sent
    assert accounted_for(report) == len(rows)
    people = {person.email: person for person in sandbox.people()}
    assert people["new@example.com"].fields["Company"] == "New"
    changed = people["changed@example.com"].fields
    assert (changed["Company"], changed["City"]) == ("Old" if mode == "insert" else "New", "Rome")
    assert people["out@example.com"].fields["Company"] == "Old"
    gone = {who for who, person in people.items() if person.unsubscribed} - {"out@example.com"}
    assert gone == ({"gone0@example.com", "gone1@example.com"} if mode == "mirror" else set())
    sent_before = len(sandbox.requests)
    load_rows(rows, mode=mode, max_rejected=1, max_unsubscribes=0.5)
    assert [request.method for request in sandbox.requests[sent_before:]] == ["GET"]


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_a_dry_run_plans_all_and_writes_nothing(
    mode: Mode, sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report]
) -> None:
    rows = of_mode(mode)
    report = load_rows(rows, client=new_client(dry_run=True), mode=mode, max_rejected=1, max_unsubscribes=0.5)

    assert (writes(sandbox), reads(sandbox)) == ([], 1)
    summary = report.for_xcom()
    assert (summary["outcome"], summary["added"], accounted_for(report)) == ("dry_run", 1, len(rows))
    assert (summary["updated"], summary["unsubscribed"]) == (mode != "insert", 2 if mode == "mirror" else 0)


@pytest.mark.usefixtures("inhabited")
def test_a_mirror_that_would_unsubscribe_too_many_or_has_no_rows_sends_nothing(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    with pytest.raises(LoadFailedError, match=r"unsubscribe 2 of 4 people, more than max_unsubscribes=0[.]1") as much:
        load_rows(ROWS[:4], mode="mirror")
    with pytest.raises(LoadFailedError, match="The input is empty") as empty:
        load_rows([], mode="mirror", max_unsubscribes=1)

    assert (much.value.permanent, empty.value.permanent) == (True, True)
    assert writes(sandbox) == []


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize("row", [
    {"Email": "gone0@example.com", "Company": "a\x00b"}, {"Email": "gone0@example.com", "Company": "x" * 40_000},
    {"Email": "gone0@example.com", "Company": ["X"]}, {"Email": "gone0@example.com", "E-Mail": "x"},
    {"Email": ""}, {}, 5, {"Email": "gone0@example.com."}, {"Email": "gone0@example.com;gone1@example.com"},
    {"Email": "gone0@example,com"}, {"Email": "'gone0@example.com"}, {"Email": "gone0@example"},
])  # fmt: skip
def test_a_mirror_unsubscribes_nobody_while_a_row_is_in_doubt(
    row: object, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    report = load_rows([*ROWS[:4], row], mode="mirror", max_unsubscribes=1, max_rejected=1)

    assert "prospect-unsubscribe" not in writes(sandbox)
    assert report.for_xcom()["held_back"] == 2
    assert report.unsubscribed == 0


def test_a_person_with_several_ids_is_added_no_more_and_updated_everywhere(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    for spelled in ("ana@example.com", "ANA@example.com"):
        sandbox.add_person(campaign.id, {"Email": spelled, "Company": "Old"})

    load_rows([{"Email": "ana@example.com", "Company": "New"}], mode="upsert")

    assert [person.fields["Company"] for person in sandbox.people()] == ["New", "New"]


def test_who_opted_out_under_one_of_several_ids_is_left_alone(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.add_person(campaign.id, {"Email": "Ana@example.com"}, unsubscribed=True)

    report = load_rows([{"Email": "ana@example.com", "Company": "New"}], mode="upsert")

    assert (writes(sandbox), report.planned.opted_out) == ([], 1)


def test_good_rows_are_sent_and_all_rejects_handed_over_in_order(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    kept: list[Reject] = []
    bad = [{"Email": "nobody"}, {}, 5]
    rows = [bad[0], *people(2), bad[1], bad[2]]

    with pytest.raises(LoadFailedError, match="3 of 5 rows refused, more than max_rejected=2") as failed:
        load_rows(rows, max_rejected=2, on_rejects=kept.extend)

    assert addresses(sandbox) == ["p0@example.com", "p1@example.com"]
    assert [reject.number for reject in kept] == [1, 4, 5]
    assert (failed.value.permanent, accounted_for(failed.value.report)) == (True, 5)
    assert load_rows(rows, max_rejected=3).planned.rejected == 3


def test_only_bad_rows_send_nothing(sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    with pytest.raises(LoadFailedError, match="100 of 100 rows refused"):
        load_rows([{"Email": f"nobody {number}"} for number in range(100)])

    assert writes(sandbox) == []


def test_what_salesblink_refuses_is_a_reject_and_the_others_are_sent(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    sandbox.fault("prospect-add", "status", status=400)
    sandbox.fault("prospect-add", "refused")
    kept: list[Reject] = []

    report = load_rows(people(10), max_rejected=2, on_rejects=kept.extend)

    assert (len(addresses(sandbox)), report.added, len(kept), accounted_for(report)) == (8, 8, 2, 10)


def test_a_campaign_that_is_not_there_is_an_error(load_rows: Callable[..., Report]) -> None:
    with pytest.raises(NotFoundError):
        load_rows(people(1), campaign_id="nowhere")


def test_a_campaign_that_is_paused_takes_people(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], campaign: CampaignUnderTest,
    load_rows: Callable[..., Report],
) -> None:  # fmt: skip
    new_client().campaigns.pause(campaign.id)

    assert load_rows(people(3)).added == 3
    assert len(sandbox.people()) == 3


def test_a_list_without_addresses_sends_nothing(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "p0@example.com"})
    # As if the API called the column another name.
    sandbox._store.run('UPDATE prospect SET fields = \'{"Contact": "p0@example.com"}\'')

    with pytest.raises(UnreadableResponseError, match="shows no addresses"):
        load_rows(people(2))

    assert writes(sandbox) == []


@pytest.mark.parametrize("mode", ["upsert", "mirror"])
def test_a_list_without_ids_is_an_error_where_ids_are_needed(
    mode: Mode, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "p0@example.com"})
    # As if the API showed none.
    sandbox._store.run("UPDATE prospect SET id = ''")

    with pytest.raises(UnreadableResponseError, match=f"shows no ids, which mode '{mode}' needs"):
        load_rows(people(2), mode=mode)

    assert writes(sandbox) == []
    assert load_rows(people(2)).added == 1


@pytest.mark.parametrize("max_in_flight", [0, -1])
def test_no_call_in_flight_is_no_load(max_in_flight: int, load_rows: Callable[..., Report]) -> None:
    with pytest.raises(InvalidInputError, match="max_in_flight is out of bounds: pass a number from 1 "):
        load_rows([], max_in_flight=max_in_flight)


def test_no_log_line_holds_an_address(
    sandbox: Sandbox, load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in ("reset", "refused"):
        sandbox.fault("prospect-add", fault, times=3)

    load_rows([*people(30), {"Email": "not an @ddress"}, {"Email": ["ana@example.com"]}], max_rejected=5)

    assert len(caplog.messages) > 5
    assert not [line for line in caplog.text.splitlines() if "@" in line]
