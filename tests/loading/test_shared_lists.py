"""Loads on the API v1 where people are, or were, on other lists of the same campaigns: no mail comes twice."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AmbiguousWriteError, InvalidInputError
from airflow_provider_salesblink.client.v1 import sequence_lists
from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.loading.destination import ListAlone
from airflow_provider_salesblink.loading.read_back import MOST_RESENDS, StillImportingError
from airflow_provider_salesblink.sandbox import V1Rules
from tests.conftest import HASTE
from tests.loading.people import people, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = [pytest.mark.apis("v1")]

ROWS = people(30)
ALONE = ListAlone(allow_running=True)


def starts(sandbox: Sandbox) -> list[tuple[str, str]]:
    sandbox.finish_imports()
    return sorted((start.sequence_id, start.email) for start in sandbox.started)


def once(sequence_id: str, rows: list[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((sequence_id, row["Email"]) for row in rows)


@pytest.mark.parametrize("paused", [False, True])
def test_people_on_another_list_of_the_campaign_are_not_added_to_this_one(
    paused: bool, sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    lists = [sandbox.add_list("First"), sandbox.add_list("Second")]
    campaign = sandbox.add_campaign("Mails", lists=lists, paused=paused)
    load_rows(ROWS, campaign_id=lists[0], list_choice=ALONE)

    report = load_rows([*ROWS, *people(5, start=100)], campaign_id=lists[1], list_choice=ALONE)

    assert (report.added, report.planned.there) == (5, 30)
    if paused:
        new_client().campaigns.unpause(campaign)
    assert starts(sandbox) == once(campaign, [*ROWS, *people(5, start=100)])


def test_people_who_were_mailed_and_taken_off_the_list_are_not_added_to_it_again(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    listed = sandbox.add_list("First")
    campaign = sandbox.add_campaign("Mails", lists=[listed])
    load_rows(ROWS, campaign_id=listed, list_choice=ALONE)
    new_client().leads.remove(listed, "p3@example.com")

    report = load_rows(ROWS, campaign_id=listed, list_choice=ALONE)

    assert (report.added, report.planned.there) == (0, 30)
    assert starts(sandbox) == once(campaign, ROWS)


def test_people_of_a_paused_campaign_that_uses_the_list_too_are_not_added(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    shared, own = sandbox.add_list("Shared"), sandbox.add_list("Own")
    one = sandbox.add_campaign("One", lists=[shared])
    other = sandbox.add_campaign("Other", lists=[shared, own])
    load_rows(ROWS, campaign_id=own, list_choice=ALONE)
    assert starts(sandbox) == once(other, ROWS)
    client = new_client()
    client.campaigns.pause(other)

    report = load_rows([*ROWS, *people(2, start=100)], campaign_id=one)
    client.campaigns.unpause(other)

    assert (report.added, report.planned.there) == (2, 30)
    assert starts(sandbox) == sorted([*once(other, [*ROWS, *people(2, start=100)]), *once(one, people(2, start=100))])


def test_a_person_who_was_taken_out_of_the_campaign_only_is_seen_on_the_list(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    listed, elsewhere = sandbox.add_list("Here"), sandbox.add_list("Elsewhere")
    campaign = sandbox.add_campaign("Mails", lists=[listed])
    rows = people(300)
    load_rows(rows, campaign_id=campaign)
    client, leads = new_client(), {lead.email: lead.id for lead in sandbox.leads(listed)}
    # As many people are gone from the list as from the campaign, so the numbers of both agree.
    client.sequences.remove_lead(campaign, leads["p3@example.com"])
    client.leads.move(leads["p4@example.com"], elsewhere)

    report = load_rows([*rows, *people(1, start=500)], campaign_id=campaign)

    assert (report.added, report.planned.there) == (1, 300)
    assert starts(sandbox) == once(campaign, [*rows, *people(1, start=500)])


def test_people_that_the_list_loses_after_their_mails_have_started_are_not_sent_again(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    known, listed = sandbox.add_list("Known"), sandbox.add_list("First")
    campaign = sandbox.add_campaign("Mails", lists=[listed])
    for row in ROWS:
        sandbox.add_lead(known, row)
    sandbox.v1 = V1Rules(duplicate_removal_other_list=True, mails_before_dedupe=True)

    report = load_rows(ROWS, campaign_id=listed, list_choice=ALONE, settling_time=2, max_rejected=30)

    assert report.added == 30
    assert starts(sandbox) == once(campaign, ROWS)


def test_a_deferred_load_sends_again_a_bounded_number_of_times(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    sandbox.v1 = V1Rules(import_loses=1.0)
    client = new_client(policy=replace(HASTE, import_time=1))
    done: dict[str, Any] = {}

    def one_part() -> None:
        load_rows(ROWS, client=client, owner="a", settling_time=1.5, longest_wait=0.5, done_before=done)

    for _ in range(4 * MOST_RESENDS):
        try:
            one_part()
        except StillImportingError as deferred:
            done = deferred.report.done()
            time.sleep(deferred.retry_after or 0)  # noqa: TID251
        except LoadFailedError:
            break
    else:
        pytest.fail("The load never ends.")
    assert len(writes(sandbox)) == 1 + MOST_RESENDS


@pytest.mark.parametrize("alone", [True, False])
def test_a_second_mirror_unsubscribes_nobody_again(
    alone: bool, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    listed = sandbox.add_list("First")
    campaign = sandbox.add_campaign("Mails", lists=[listed], paused=True)
    target: dict[str, Any] = {"campaign_id": listed, "list_choice": ALONE} if alone else {"campaign_id": campaign}
    load_rows(people(100), **target)

    assert load_rows(people(94), mode="mirror", **target).unsubscribed == 6
    sent = len(writes(sandbox))
    assert load_rows(people(94), mode="mirror", **target).unsubscribed == 0
    assert len(writes(sandbox)) == sent
    assert load_rows(people(88), mode="mirror", **target).unsubscribed == 6


def test_a_person_whose_columns_do_not_show_is_not_updated(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    listed, elsewhere = sandbox.add_list("Here"), sandbox.add_list("Elsewhere")
    campaign = sandbox.add_campaign("Mails", lists=[listed])
    load_rows([{**row, "City": "Paris"} for row in people(2)], campaign_id=campaign)
    leads = {lead.email: lead.id for lead in sandbox.leads(listed)}
    new_client().leads.move(leads["p1@example.com"], elsewhere)

    for fill_empty in (True, False):
        rows = [{**row, "City": "London"} for row in people(2)]
        report = load_rows(rows, campaign_id=campaign, mode="upsert", fill_empty=fill_empty)
        assert report.updated == (0 if fill_empty else 1)

    (moved,) = sandbox.leads(elsewhere)
    assert moved.fields["city"] == "Paris"


def test_a_campaign_that_is_resumed_during_a_load_into_its_list_stops_it(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, client = sandbox.add_list("First"), new_client()
    campaign = sandbox.add_campaign("Mails", lists=[listed], paused=True)
    with pytest.raises(AmbiguousWriteError):
        client.prospects.send_to_list(listed, ROWS[:2])
    client.campaigns.unpause(campaign)

    monkeypatch.setattr(sequence_lists, "LONGEST_RELIED_ON", 0.0)
    with pytest.raises(InvalidInputError, match="which runs: adding people to it starts its mails"):
        client.prospects.send_to_list(listed, ROWS[2:])

    sandbox.finish_imports()
    assert len(sandbox.leads(listed)) == 2


def test_a_load_adds_nobody_to_a_list_that_the_campaign_gets_meanwhile(
    sandbox: Sandbox,
    load_rows: Callable[..., Report],
    new_client: Callable[..., SalesBlinkClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequence_lists, "LONGEST_RELIED_ON", 0.0)
    first, second = sandbox.add_list("First"), sandbox.add_list("Second")
    campaign = sandbox.add_campaign("Mails", lists=[first])

    with pytest.raises(LoadFailedError, match=f"30 of 30 rows refused, .* does not use list {first}; its lists: "):
        load_rows(
            ROWS,
            campaign_id=campaign,
            on_plan=lambda _: new_client().sequences.update(campaign, lists=[second]),
        )

    assert starts(sandbox) == []
