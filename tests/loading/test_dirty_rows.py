"""Rows as people have them: nobody loses their place, or gets a mail, because a row is dirty."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_salesblink.client.identity import is_address
from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from tests.loading.people import accounted_for, people, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.loading.rows import Reject
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

CLEANED = [
    "mailto:ana@example.com", "ana\u200b@example.com", "ana@exam\u00adple.com", '"Ana" <ana@example.com>',
    "Ana<ana@example.com>", "ａｎａ@example.com", "MailTo:Ana@Example.com?subject=Hi",
]  # fmt: skip
REFUSED = [
    "ana@example.com.", "ana@example.com;bo@example.com", "ana@example.com, bo@example.com",
    "bo@x.com <ana@example.com>", "ana @example.com", "'ana@example.com", "ana@example", "Ana", "",
]  # fmt: skip


@pytest.fixture
def twenty(sandbox: Sandbox, campaign: CampaignUnderTest) -> list[dict[str, str]]:
    """The rows of nineteen people who are in the campaign; Ana is there too."""
    rows = people(19)
    for row in [*rows, {"Email": "ana@example.com"}]:
        sandbox.add_person(campaign.id, row)
    return rows


@pytest.mark.parametrize("written", CLEANED, ids=ascii)
def test_a_mirror_keeps_a_person_whose_address_only_had_to_be_cleaned(
    written: str,
    twenty: list[dict[str, str]],
    sandbox: Sandbox,
    load_rows: Callable[..., Report],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    report = load_rows([*twenty, {"Email": written}], mode="mirror")

    assert (writes(sandbox), report.planned.there) == ([], 20)
    assert "Cleaned the addresses of 1 row (20)" in caplog.text


@pytest.mark.parametrize("written", REFUSED, ids=ascii)
def test_a_mirror_holds_everybody_back_while_a_row_is_refused_and_says_why(
    written: str,
    twenty: list[dict[str, str]],
    sandbox: Sandbox,
    load_rows: Callable[..., Report],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(LoadFailedError, match="1 of 20 rows refused") as failed:
        load_rows([*twenty, {"Email": written}], mode="mirror")

    summary = failed.value.report.for_xcom()
    assert (writes(sandbox), summary["held_back"], summary["rejected"]) == ([], 1, 1)
    assert "Held back: 1 people who have no row. Rows refused: 1" in caplog.text


def test_a_mirror_holds_back_too_when_salesblink_refuses_a_row(
    twenty: list[dict[str, str]], sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    sandbox.fault("prospect-add", "status", status=400)

    report = load_rows([*twenty, {"Email": "new@example.com"}], mode="mirror", max_rejected=1)

    assert (writes(sandbox), report.held_back, report.unsubscribed) == (["prospect-add"], 1, 0)


def test_a_mirror_keeps_people_whose_own_address_cannot_be_read(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com;bo@example.com"})
    sandbox.add_person(campaign.id, {"Email": "gone@example.com"})

    report = load_rows(people(1), mode="mirror", max_unsubscribes=1)

    assert (report.unsubscribed, report.held_back) == (1, 1)
    assert [person.email for person in sandbox.people() if person.unsubscribed] == ["gone@example.com"]


@pytest.mark.parametrize(
    ("there", "row"),
    [
        ("ana@bücher.example", "ana@xn--bcher-kva.example"), ("ana@xn--bcher-kva.example", "Ana@BÜCHER.example"),
        ("ana@bücher.example", "ana@bu\u0308cher.example"), ("jos\u00e9@example.com", "jose\u0301@example.com"),
        ("ana@ｂüｃｈｅｒ.example", "ana@bücher.example"), ("mailto:ana@example.com", "ana@example.com"),
    ],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_two_spellings_of_a_mailbox_are_one_person_who_opted_out(
    mode: str, there: str, row: str, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": there}, unsubscribed=True)

    report = load_rows([{"Email": row, "Company": "X"}], mode=mode)

    assert (writes(sandbox), report.planned.opted_out) == ([], 1)


def test_two_mailboxes_that_look_alike_are_both_loaded(sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    rows = [
        {"Email": address} for address in ("ana@straße.example", "ana@strasse.example", "weiß@x.com", "weiss@x.com")
    ]

    report = load_rows(rows)

    assert report.added == 4
    assert sorted(person.email for person in sandbox.people()) == sorted(row["Email"] for row in rows)


def test_repeats_are_named_by_their_rows(load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    report = load_rows([*people(3), *people(2), {"Email": "P0@example.com"}])

    assert (report.added, report.planned.repeats) == (3, 3)
    assert "Repeats of a person: 3 rows (4, 5, 6). The first row of each person counts." in caplog.text


DIRT = ["{}", " {}", "mailto:{}", '"Ana" <{}>', "{}\u200b", "{}.", "{};x@example.com", "'{}", "{} (work)", "<{}", "{},"]
CELLS = st.builds(
    lambda dirt, number, upper: dirt.format(f"P{number}@Example.com" if upper else f"p{number}@example.com"),
    st.sampled_from(DIRT),
    st.integers(0, 5),
    st.booleans(),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CELLS, min_size=1, max_size=8), st.sampled_from(["insert", "upsert", "mirror"]))
def test_any_rows_are_each_sent_left_or_refused_and_cost_nobody_in_them_their_place(
    sandbox: Sandbox, load_rows: Callable[..., Report], cells: list[str], mode: str
) -> None:
    campaign_id = sandbox.add_campaign("dirty")
    for row in people(6):
        sandbox.add_person(campaign_id, row)
    rejects: list[Reject] = []

    report = load_rows(
        [{"Email": cell} for cell in cells],
        campaign_id=campaign_id,
        mode=mode,
        max_rejected=len(cells),
        max_unsubscribes=1,
        on_rejects=rejects.extend,
    )

    assert accounted_for(report) == len(cells)
    assert [reject.number for reject in rejects] == [
        number for number, cell in enumerate(cells, start=1) if not is_address(cell)
    ]
    assert all(reject.reason for reject in rejects)
    gone = {person.email for person in sandbox.people(campaign_id) if person.unsubscribed}
    assert not any(address in cell.casefold() for address in gone for cell in cells)
    if mode == "mirror" and not rejects:
        assert len(gone) == 6 - (len(cells) - report.planned.repeats)


def test_a_row_may_have_any_values_and_is_still_counted_once(load_rows: Callable[..., Report]) -> None:
    rows: list[Any] = [{"Email": "a@example.com"}, {}, 5, {"Email": "a"}, {"Email": "A@example.com"}, {"Email": None}]

    report = load_rows(from_mappings(rows, ColumnNames()), max_rejected=4)

    assert (report.added, report.planned.repeats, report.planned.rejected, accounted_for(report)) == (1, 1, 4, 6)
