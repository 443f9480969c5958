"""Who opted out in the source is not added, not changed, and unsubscribed where they are in the campaign."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv, from_jsonl, from_mappings
from airflow_provider_salesblink.sandbox import Shapes
from tests.loading.people import accounted_for, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

COLUMN = "Do Not Contact"


def row(email: str, said: object, **columns: object) -> dict[str, object]:
    return {"Email": email, **columns, COLUMN: said}


@pytest.mark.parametrize(
    "said",
    ["TRUE", "yes", " Y ", "1", "1.0", "x", "on", "Unsubscribed", "opted-out", "DO NOT CONTACT", "2027-01-31", True, 1],
)
@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_a_row_that_says_opt_out_adds_nobody(
    said: object, mode: str, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = [row("ana@example.com", said), row("bo@example.com", "no")]

    report = load_rows(rows, mode=mode, opt_out_columns=[COLUMN])

    (added,) = sandbox.people()
    assert added.fields == {"Email": "bo@example.com"}
    summary = report.for_xcom()
    assert (summary["added"], summary["opted_out"], accounted_for(report)) == (1, 1, 2)


@pytest.mark.parametrize(
    "said", ["", " ", "false", "No", "n", "0", "0.0", "off", "subscribed", "Active", False, 0, None]
)
def test_a_row_that_says_no_opt_out_is_loaded(said: object, sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    rows = [row("ana@example.com", said), row("bo@example.com", "yes")]

    assert load_rows(rows, opt_out_columns=[COLUMN]).added == 1
    assert [person.fields for person in sandbox.people()] == [{"Email": "ana@example.com"}]


@pytest.mark.parametrize("said", ["maybe", "?", "customer", "2", "not sure", "31.02.2027"])
def test_a_word_that_is_not_known_refuses_the_row_and_the_person(
    said: object, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = [row("ana@example.com", ""), row("ANA@example.com", said), row("ana@example.com", "no")]
    rejects: list[Any] = []

    report = load_rows(rows, opt_out_columns=[COLUMN], max_rejected=2, on_rejects=rejects.extend)

    assert writes(sandbox) == []
    assert (accounted_for(report), report.planned.rejected, report.planned.repeats) == (3, 2, 1)
    assert [reject.number for reject in rejects] == [1, 2]
    assert "Row 2 leaves open whether the same person opted out" in rejects[0].reason
    assert COLUMN in rejects[1].reason
    assert str(said) not in rejects[1].reason or said in ("2", "?")


@pytest.mark.parametrize(("mode", "opt_outs", "sent"), [
    ("insert", "unsubscribe", []),
    ("upsert", "skip", []),
    ("upsert", "unsubscribe", ["prospect-unsubscribe"] * 2),
    ("mirror", "unsubscribe", ["prospect-unsubscribe"] * 2),
    ("mirror", "skip", []),
])  # fmt: skip
def test_who_is_in_the_campaign_and_opted_out_in_the_source_is_unsubscribed_and_not_changed(
    mode: str,
    opt_outs: str,
    sent: list[str],
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    load_rows: Callable[..., Report],
) -> None:
    for spelled in ("ana@example.com", "Ana@Example.com"):
        sandbox.add_person(campaign.id, {"Email": spelled, "Company": "Old"})
    sandbox.add_person(campaign.id, {"Email": "bo@example.com"}, unsubscribed=True)
    rows = [row("ana@example.com", "yes", Company="New"), row("bo@example.com", "yes")]

    report = load_rows(rows, mode=mode, opt_outs=opt_outs, opt_out_columns=[COLUMN])

    assert writes(sandbox) == sent
    assert (report.planned.opted_out, report.unsubscribed, accounted_for(report)) == (2, len(sent), 2)
    assert [person.fields.get("Company") for person in sandbox.people()] == ["Old", "Old", None]
    load_rows(rows, mode=mode, opt_outs=opt_outs, opt_out_columns=[COLUMN])
    assert writes(sandbox) == sent


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("is_there", [False, True])
def test_one_row_that_says_opt_out_counts_more_than_another_that_does_not(
    order: int, is_there: bool, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    if is_there:
        sandbox.add_person(campaign.id, {"Email": "ana@example.com", "Company": "Old"})
    rows = [row("ana@example.com", "no", Company="New"), row("ANA@example.com", "yes")][::order]

    report = load_rows(rows, mode="upsert", opt_out_columns=[COLUMN])

    assert writes(sandbox) == ["prospect-unsubscribe"] * is_there
    planned = report.planned
    assert (planned.add, planned.update, planned.opted_out, planned.repeats) == (0, 0, 1, 1)
    assert accounted_for(report) == 2


def test_opt_outs_are_sent_before_anybody_is_added(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})

    load_rows([row("new@example.com", ""), row("ana@example.com", "x")], mode="upsert", opt_out_columns=[COLUMN])

    assert writes(sandbox) == ["prospect-unsubscribe", "prospect-add"]


@pytest.mark.parametrize("source", ["csv", "jsonl", "mappings", "load"])
def test_a_column_that_is_nowhere_stops_the_load_before_anything_is_sent(
    source: str, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    names = ColumnNames(opt_out_columns=["Unsubscribd"])
    rows: Any = {
        "csv": lambda: from_csv(io.BytesIO(b"Email,Unsubscribed\nana@example.com,yes\n"), names),
        "jsonl": lambda: from_jsonl(io.BytesIO(b'{"Email": "ana@example.com", "Unsubscribed": "yes"}\n'), names),
        "mappings": lambda: from_mappings([{"Email": "ana@example.com", "Unsubscribed": "yes"}], names),
        "load": lambda: [{"Email": "ana@example.com", "Unsubscribed": "yes"}],
    }[source]()

    with pytest.raises(InvalidInputError, match="'Unsubscribd'"):
        load_rows(rows, **({"opt_out_columns": ["Unsubscribd"]} if source == "load" else {}))

    assert writes(sandbox) == []


def test_a_column_that_looks_like_an_opt_out_and_is_not_named_is_named_once(
    load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"Email": f"p{number}@example.com", "Email Opt Out": "yes", "status": "x"} for number in range(3)]

    load_rows(rows)

    warned = [line for line in caplog.messages if "opt_out_columns" in line]
    assert len(warned) == 1
    assert "'Email Opt Out'" in warned[0]
    assert caplog.records[0].levelno >= logging.WARNING
    caplog.clear()
    list(from_mappings(rows, ColumnNames(None, [])))
    assert "opt_out_columns" not in caplog.text


def test_a_column_of_the_persons_own_that_says_so_does_not_keep_salesblink_from_hearing_it(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.shapes = Shapes(state="none")
    sandbox.add_person(campaign.id, {"Email": "ana@example.com", "status": "unsubscribed"})

    load_rows([row("ana@example.com", "yes")], mode="upsert", opt_out_columns=[COLUMN])

    assert sandbox.people()[0].unsubscribed


def test_each_address_of_a_row_in_doubt_is_kept_from_being_added(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    doubtful = {"Email": "ana@example.com", "email": "bo@example.com", COLUMN: "yes"}

    load_rows(
        from_mappings(
            [{"Email": "ana@example.com"}, doubtful, {"Email": "bo@example.com"}], ColumnNames(None, [COLUMN])
        ),
        max_rejected=2,
    )

    assert writes(sandbox) == []


@pytest.mark.parametrize(
    "dirty", ["eve@example.com;bob@example.com", "eve@example.com.", "eve@example.com (work)", "'eve@example.com'"]
)
@pytest.mark.parametrize("said", ["yes", "perhaps"])
@pytest.mark.parametrize("order", [1, -1])
def test_an_opt_out_whose_address_is_in_doubt_keeps_everybody_in_it_from_being_added(
    order: int, said: str, dirty: str, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = [row(dirty, said), row("eve@example.com", "")][::order]

    report = load_rows(rows, opt_out_columns=[COLUMN], max_rejected=2)

    assert writes(sandbox) == []
    assert accounted_for(report) == 2


@pytest.mark.parametrize("order", [1, -1])
def test_a_row_in_doubt_does_not_hide_another_one_that_says_opt_out(
    order: int, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "eve@example.com"})
    rows = [row("eve@example.com", "maybe"), row("eve@example.com", "yes")][::order]

    report = load_rows(rows, mode="upsert", opt_out_columns=[COLUMN], max_rejected=1)

    assert (writes(sandbox), report.unsubscribed, accounted_for(report)) == (["prospect-unsubscribe"], 1, 2)


def test_a_refused_unsubscribe_counts_its_row_once(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "eve@example.com"})
    sandbox.fault("prospect-unsubscribe", "refused", times=9)
    rejects: list[Any] = []

    report = load_rows(
        [row("eve@example.com", "yes")],
        mode="upsert",
        opt_out_columns=[COLUMN],
        max_rejected=1,
        on_rejects=rejects.extend,
    )

    assert accounted_for(report) == 1
    assert rejects[0].columns == {"prospect_id": sandbox.people()[0].id}


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00", "1970-01-01", "2999-12-31", "!active", "1,000"])
def test_what_only_looks_like_a_word_that_is_known_refuses_the_row(
    said: str, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    report = load_rows([row("eve@example.com", said)], opt_out_columns=[COLUMN], max_rejected=1)

    assert (writes(sandbox), report.planned.rejected) == ([], 1)


@pytest.mark.parametrize(
    "name", ["Subscribed", "Accepts Email Marketing", "GDPR Consent", "Can email", "Permission to contact", "Opt-in"]
)
def test_a_column_that_says_who_agreed_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="who agreed, not who opted out"):
        ColumnNames(None, [name])


@pytest.mark.parametrize("name", ["Unsubscribed", "Opted out of marketing", "Consent withdrawn", "Newsletter opt-out"])
def test_a_column_that_says_who_did_not_agree_is_taken(name: str) -> None:
    assert ColumnNames(None, [name]).opt_outs
