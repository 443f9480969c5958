"""CampaignReportOperator: from extracted files, and from SalesBlink itself."""

from __future__ import annotations

import csv
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_salesblink.links import CampaignLink, campaign_page
from airflow_provider_salesblink.operators.reports import CampaignReportOperator
from airflow_provider_salesblink.operators.results import ExtractEventsOperator
from airflow_provider_salesblink.results.cursor import Cursor, CursorFiles, Position
from tests.apis import BOTH
from tests.results.extracting import folder_of
from tests.results.report_events import MONDAY, NOW, row, write_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

try:
    from airflow.sdk.io import attach
except ImportError:
    from airflow.io.store import attach

FEEDS = ("sent", "opens", "clicks", "replies", "reports")
ONE_OF_EACH = {"sent": 1, "opens": 1, "clicks": 1, "replies": 1, "bounces": 1, "unsubscribes": 1}
COUNTED_AS = {
    "Sent": "sent", "Opened": "opens", "Clicked": "clicks", "Replied": "replies", "Bounced": "bounces",
    "Unsubscribed": "unsubscribes",
}  # fmt: skip
EVENTS = [
    *(row(feed, number, person="ana") for number, feed in enumerate(["sent", "opens", "clicks", "replies", "reports"])),
    row("reports", 9, person="ana", message="Unsubscribed", days=1),
]


def report(output_path: Path | None, **arguments: Any) -> dict[str, Any]:
    return CampaignReportOperator(task_id="t", output_path=output_path, **arguments).execute({})


def figures_in(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def live(sandbox: Sandbox, campaign_id: str, email: str = "ana@example.com", *, hours: float = 5) -> None:
    """Let somebody get a mail, open it, click, reply, bounce and unsubscribe, some hours ago."""
    lead = sandbox.add_person(campaign_id, {"Email": email})
    at = int((datetime.now(UTC) - timedelta(hours=hours)).timestamp() * 1000)
    for message in ("Sent", "Opened", "Clicked", "Replied", "Bounced", "Unsubscribed"):
        sandbox.add_event(message, lead_id=lead, sequence_id=campaign_id, time_ms=at)


def extracted_without_events(folder: Path) -> Path:
    """Return a folder as an extraction of all feeds leaves it that found no event."""
    for feed in FEEDS:
        Cursor(CursorFiles(folder_of(folder))).advance(feed, Position(MONDAY), NOW)
    return folder


# From files


@pytest.mark.apis(*BOTH)
def test_the_report_of_a_campaign_from_files_needs_no_request(sandbox: Sandbox, api: Any, tmp_path: Path) -> None:  # noqa: ARG001
    events = write_events(tmp_path / "events", [*EVENTS, row("sent", 20, sequence_id="c2", sequence_name="Autumn")])

    result = report(tmp_path / "out" / "spring.html", campaign_id="c1", events_path=events)

    assert result == {
        "outcome": "reported", "path": str(tmp_path / "out" / "spring.html"),
        "csv_path": str(tmp_path / "out" / "spring.csv"), "campaign_id": "c1", **ONE_OF_EACH, "people_mailed": 1,
    }  # fmt: skip
    page = (tmp_path / "out" / "spring.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert '<h1 dir="auto">Spring</h1>' in page
    assert "Autumn" not in page
    assert figures_in(tmp_path / "out" / "spring.csv")[0]["sent"] == "1"
    assert not sandbox.requests


@pytest.mark.parametrize("campaign_id", [None, "all"])
def test_the_report_of_all_campaigns_has_a_row_for_each(
    campaign_id: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SALESBLINK__CAMPAIGN_PAGE_ROOT", "https://app.example.com/campaigns/")
    events = write_events(tmp_path / "events", [*EVENTS, row("sent", 20, sequence_id="c2", sequence_name="Autumn")])

    result = report(tmp_path / "all.html", campaign_id=campaign_id, events_path=events)

    assert result["sent"] == 2
    assert "campaign_id" not in result
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert '<h1 dir="auto">All campaigns</h1>' in page
    assert page.count("https://app.example.com/campaigns/") == 2


@pytest.mark.parametrize(("host", "has_link"), [("https://run.salesblink.io", True), ("http://127.0.0.1:1", False)])
def test_a_campaign_of_another_host_has_no_page_in_salesblink(
    host: str, has_link: bool, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(host=host)

    report(tmp_path / "r.html", campaign_id="c1", events_path=write_events(tmp_path / "events", EVENTS))

    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert ("https://run.salesblink.io/campaigns/c1" in page) is has_link
    assert ("Open the campaign in SalesBlink" in page) is has_link


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_each_format_of_the_files_makes_the_same_report_byte_for_byte(suffix: str, tmp_path: Path) -> None:
    plain = write_events(tmp_path / "plain", EVENTS)
    other = write_events(tmp_path / "other", EVENTS, suffix)

    report(tmp_path / "1" / "r.html", events_path=plain)
    report(tmp_path / "2" / "r.html", events_path=other)
    report(tmp_path / "3" / "r.html", events_path=other)

    for name in ("r.html", "r.csv"):
        assert len({(tmp_path / each / name).read_bytes() for each in "123"}) == 1


@pytest.mark.apis("v1")
@pytest.mark.parametrize("people", ["hash", "address", "none"])
@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_what_is_extracted_is_reported_without_an_address(
    people: Any,
    file_format: Any,
    sandbox: Sandbox,
    tmp_path: Path,
    task_log: Callable[[], list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=True)
    caplog.set_level(logging.DEBUG)
    live(sandbox, campaign_id)
    live(sandbox, campaign_id, "ben@example.com")
    lead = sandbox.add_person(campaign_id, {"Email": "eve@example.com"})
    sandbox.add_event("Sent", lead_id=lead, sequence_id=campaign_id, sender="box@example.com")
    arguments = {"feeds": FEEDS, "people": people, "file_format": file_format}
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ExtractEventsOperator(task_id="e", output_path=tmp_path / "events", until=until, **arguments).execute({})

    result = report(tmp_path / "r.html", events_path=tmp_path / "events")

    # The last mail is not extracted: its minute is not over.
    assert {name: result[name] for name in ONE_OF_EACH} == dict.fromkeys(ONE_OF_EACH, 2)
    assert result.get("people_mailed") == (None if people == "none" else 2)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Spring" in page
    assert "Data until " in page
    everything = page + (tmp_path / "r.csv").read_text(encoding="utf-8") + json.dumps(result) + " ".join(task_log())
    assert "@example.com" not in everything + caplog.text


@pytest.mark.parametrize(
    ("until", "of", "campaign_id", "shown"),
    [
        ({}, None, None, None),
        (dict.fromkeys(FEEDS, "09:00"), None, None, "09:00"),
        (dict.fromkeys(FEEDS, "09:00") | {"clicks": "07:00"}, None, "c1", "07:00"),
        (dict.fromkeys(FEEDS[1:], "09:00"), None, None, None),
        (dict.fromkeys(FEEDS, "10:00"), "c1", "c1", "10:00"),
        (dict.fromkeys(FEEDS, "10:00"), "c1", "c2", None),
        (dict.fromkeys(FEEDS, "10:00"), "c1", None, None),
    ],
)
def test_the_page_says_until_when_every_feed_was_extracted(
    until: dict[str, str], of: str | None, campaign_id: str | None, shown: str | None, tmp_path: Path
) -> None:
    rows = [row("sent", number, sequence_id=each) for number, each in enumerate(("c1", "c2"))]
    events = write_events(tmp_path / "events", rows)
    cursor = Cursor(CursorFiles(folder_of(events), of))
    for feed, time in until.items():
        cursor.advance(feed, Position(datetime.fromisoformat(f"2026-11-20T{time}+00:00")), datetime.now(UTC))

    report(tmp_path / "r.html", events_path=events, campaign_id=campaign_id)

    page = (tmp_path / "r.html").read_text()
    assert (f"Data until 20 Nov 2026, {shown} UTC." in page) if shown else "Data until" not in page


def test_an_unreadable_cursor_does_not_keep_a_report_from_being_written(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", EVENTS)
    (events / "sent" / "_cursor.json").write_text("{")

    assert report(tmp_path / "r.html", events_path=events)["sent"] == 1
    assert "Data until" not in (tmp_path / "r.html").read_text()


def test_a_mailbox_named_by_its_address_is_shown_as_its_hash(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", [row("sent", 1, sender="box@example.com", email="ana@example.com")])

    report(tmp_path / "r.html", events_path=events)

    everything = (tmp_path / "r.html").read_text() + (tmp_path / "r.csv").read_text()
    assert "example.com" not in everything
    (mailbox,) = [each for each in figures_in(tmp_path / "r.csv") if each["table"] == "mailbox"]
    assert len(mailbox["key"]) == 64


@pytest.mark.apis(*BOTH)
def test_a_campaign_without_events_has_its_name_and_zeros(
    campaign: CampaignUnderTest,
    api: Any,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    events = extracted_without_events(tmp_path / "events")

    result = report(tmp_path / "r.html", campaign_id=campaign.id, events_path=events)

    assert {name: result[name] for name in ONE_OF_EACH} == dict.fromkeys(ONE_OF_EACH, 0)
    page = (tmp_path / "r.html").read_text()
    assert '<h1 dir="auto">Spring</h1>' in page
    assert "to 0 people" in page
    assert "There are no events of this campaign" in page


@pytest.mark.apis(*BOTH)
def test_names_that_the_events_lack_come_from_salesblink(
    campaign: CampaignUnderTest,
    api: Any,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    known = row("sent", 1, sequence_id=campaign.id, sequence_name=None)
    events = write_events(tmp_path / "events", [known, row("sent", 2, sequence_id="gone", sequence_name=None)])

    report(tmp_path / "all.html", events_path=events)
    report(tmp_path / "gone.html", events_path=events, campaign_id="gone")

    names = {each["key"]: each["name"] for each in figures_in(tmp_path / "all.csv") if each["table"] == "campaign"}
    assert names == {campaign.id: "Spring", "gone": "gone"}
    assert '<h1 dir="auto">gone</h1>' in (tmp_path / "gone.html").read_text()


@pytest.mark.parametrize(
    ("since", "until", "sent"),
    [
        ("2026-11-03T00:00:00+00:00", None, 2),
        (None, "2026-11-03T09:00:00Z", 1),
        (MONDAY + timedelta(days=1), MONDAY + timedelta(days=2), 1),
        ("2026-11-03T11:00:00+02:00", "2026-11-03T09:00:00.001+00:00", 1),
        ("2026-11-03", "2026-11-04", 1),
        (None, None, 3),
    ],
)
def test_since_is_included_and_until_is_not(since: Any, until: Any, sent: int, tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", [row("sent", number, days=number) for number in range(3)])

    assert report(tmp_path / "r.html", events_path=events, since=since, until=until)["sent"] == sent


def test_people_added_come_from_outcomes_of_one_file_or_a_folder(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", EVENTS)
    lines = [
        {"row": number, "person": f"h{number}", "outcome": word, "reason": None, "prospect_id": None,
         "time": (MONDAY + timedelta(days=number)).isoformat(timespec="milliseconds")}
        for number, word in enumerate(["added", "added", "there"])
    ]  # fmt: skip
    (tmp_path / "outcomes").mkdir()
    for name, found in (("1.jsonl", lines[:2]), ("2.jsonl", lines)):
        (tmp_path / "outcomes" / name).write_text("".join(json.dumps(each) + "\n" for each in found))

    for outcomes in (tmp_path / "outcomes", tmp_path / "outcomes" / "2.jsonl"):
        result = report(tmp_path / "r.html", events_path=events, outcomes_path=outcomes)

        assert result["people_added"] == 2
        assert [each["people_added"] for each in figures_in(tmp_path / "r.csv") if each["table"] == "day"] == ["1", "1"]


def test_other_storages_work(tmp_path: Path) -> None:
    storage = MemoryFileSystem()
    attach(protocol="memory", fs=storage)
    events = write_events(tmp_path / "events", EVENTS)
    for path in events.rglob("*.jsonl"):
        storage.pipe(f"/lake-of-reports/{path.relative_to(events)}", path.read_bytes())

    result = CampaignReportOperator(
        task_id="t", events_path="memory://lake-of-reports", output_path="memory://reports/r.html"
    ).execute({})

    report(tmp_path / "r.html", events_path=f"file://{events}/")
    assert result["csv_path"] == "memory://reports/r.csv"
    for name in ("r.html", "r.csv"):
        assert storage.cat(f"/reports/{name}") == (tmp_path / name).read_bytes()
    with pytest.raises(AirflowFailException, match="is not a folder"):
        report(tmp_path / "r.html", events_path="memory://no-lake")


def test_templates_are_rendered_and_paths_may_be_objects(run_dag: Callable[..., Any], dag: Any, tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", EVENTS)
    with dag:
        CampaignReportOperator(
            task_id="t",
            campaign_id="{{ 'c' ~ 1 }}",
            events_path=events,
            output_path=f"{tmp_path}/{{{{ 'r' }}}}.html",
            since="{{ '2026-11-01T00:00:00+00:00' }}",
        )

    run_dag(dag)

    assert "Spring" in (tmp_path / "r.html").read_text()


def test_a_task_about_all_campaigns_links_to_none(tmp_path: Path) -> None:
    tasks = [
        CampaignReportOperator(task_id="t", output_path=tmp_path / "r.html", campaign_id=each) for each in ("c1", "all")
    ]

    assert [CampaignLink().get_link(each, ti_key=None) for each in tasks] == [campaign_page("c1"), ""]


# From SalesBlink itself


@pytest.mark.apis("v1")
def test_without_files_all_campaigns_come_from_salesblinks_totals(sandbox: Sandbox, tmp_path: Path) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=True)
    live(sandbox, campaign_id)
    live(sandbox, sandbox.add_campaign("Autumn", paused=True), "ben@example.com", hours=30)

    result = report(tmp_path / "r.html")

    assert {name: result[name] for name in ONE_OF_EACH} == dict.fromkeys(ONE_OF_EACH, 2)
    assert len(sandbox.requests) == 2
    page = (tmp_path / "r.html").read_text()
    assert "own totals of the whole workspace" in page
    tables = [each["table"] for each in figures_in(tmp_path / "r.csv")]
    assert tables.count("day") == 2
    assert tables.count("mailbox") == 1
    report(tmp_path / "2.html", since=datetime.now(UTC) - timedelta(hours=10))
    assert figures_in(tmp_path / "2.csv")[0]["sent"] == "1"


@pytest.mark.apis("v1")
def test_a_mailbox_has_the_same_hash_in_all_files_and_reports(sandbox: Sandbox, tmp_path: Path) -> None:
    at = int((datetime.now(UTC) - timedelta(hours=5)).timestamp() * 1000)
    sandbox.add_event("Sent", email="ana@example.com", sequence_id="c1", time_ms=at, sender="box@example.com")
    for people in ("hash", "address", "none"):
        ExtractEventsOperator(
            task_id="e", feeds="sent", output_path=tmp_path / people, people=people, until=datetime.now(UTC)
        ).execute({})
        report(tmp_path / f"{people}.html", events_path=tmp_path / people)
    report(tmp_path / "totals.html")

    found = {
        path.stem: [each["key"] for each in figures_in(path) if each["table"] == "mailbox"]
        for path in tmp_path.glob("*.csv")
    }
    (file,) = (tmp_path / "hash" / "sent").glob("2*.jsonl")
    sender = json.loads(file.read_text())["sender"]
    assert found == {name: [sender] for name in ("hash", "address", "none", "totals")}
    assert "@" not in sender


@pytest.mark.apis("v1")
def test_without_files_a_campaign_comes_from_its_events(
    sandbox: Sandbox, tmp_path: Path, task_log: Callable[[], list[str]]
) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=True)
    live(sandbox, campaign_id)
    live(sandbox, campaign_id, hours=30)
    live(sandbox, sandbox.add_campaign("Autumn", paused=True), "ben@example.com")

    result = report(tmp_path / "r.html", campaign_id=campaign_id)

    assert {name: result[name] for name in ONE_OF_EACH} == dict.fromkeys(ONE_OF_EACH, 2)
    assert result["people_mailed"] == 1
    assert "Spring" in (tmp_path / "r.html").read_text()
    assert task_log()[0].startswith(f"Reading the events of campaign {campaign_id} takes up to about 6 requests.")
    assert (
        report(tmp_path / "2.html", campaign_id=campaign_id, since=datetime.now(UTC) - timedelta(hours=9))["sent"] == 1
    )


@pytest.mark.apis("v1")
def test_an_unknown_campaign_is_an_error(tmp_path: Path) -> None:
    for events in (None, extracted_without_events(tmp_path / "events")):
        with pytest.raises(AirflowFailException, match=r"404.*The campaign_id is 'nobody'.*name, pass its id"):
            report(tmp_path / "r.html", campaign_id="nobody", events_path=events)

    assert not list(tmp_path.glob("r.*"))


@pytest.mark.parametrize("campaign_id", [None, "c1"])
def test_on_the_classic_api_the_error_says_what_works(
    campaign_id: str | None, sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match=r"classic API.*events_path.*api_version.*ListProspectsOperator"):
        report(tmp_path / "r.html", campaign_id=campaign_id)

    assert not sandbox.requests
    assert not list(tmp_path.iterdir())


# Bad input


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"events_path": "/no/such/folder"}, "events_path '/no/such/folder' is not a folder.*ExtractEventsOperator"),
        ({"events_path": "None"}, "events_path is 'None': its template found nothing"),
        ({"events_path": "s9://bucket/events"}, "events_path 's9://bucket/events' cannot be used"),
        ({"since": "yesterday"}, "since is 'yesterday': give a time in ISO form"),
        ({"until": datetime(2026, 11, 1)}, "until is the datetime .* which has no time zone"),  # noqa: DTZ001
        ({"since": NOW + timedelta(days=9_000)}, "since is .* in the future"),
        ({"since": MONDAY, "until": MONDAY}, "since is 2026-11-02.*until is 2026-11-02.*since must be before until"),
        ({"campaign_id": "ana@example.com"}, "campaign_id contains an @"),
        ({"campaign_id": "None"}, "campaign_id is the text 'None'"),
        ({"campaign_id": ""}, "campaign_id"),
        ({"outcomes_path": "/no/such/file.jsonl"}, "outcomes_path"),
        ({"outcomes_path": "/no/such/file.jsonl", "events_path": None}, "outcomes_path needs a campaign_id or"),
        ({"output_path": None}, "output_path is None: pass the path of the page"),
        (
            {"output_path": "/proc/r.html"},
            r"output_path \(its CSV file\) '/proc/r.csv' .* no file can be created there",
        ),
    ],
)
def test_bad_input_is_an_error_before_anything_is_sent_or_written(
    arguments: dict[str, Any], what: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    events = write_events(tmp_path / "events", EVENTS)

    with pytest.raises(AirflowFailException, match=what):
        report(**{"output_path": tmp_path / "out" / "r.html", "events_path": events, **arguments})

    assert not sandbox.requests
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["r", "r.csv", "r.pdf", "", "None"])
def test_the_page_must_be_named_as_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="output_path"):
        CampaignReportOperator(task_id="t", output_path=name and f"{tmp_path}/{name}", events_path=tmp_path).execute({})


def test_a_damaged_file_is_named_and_the_old_report_stays(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", EVENTS)
    report(tmp_path / "r.html", events_path=events)
    before = (tmp_path / "r.html").read_bytes()
    (events / "opens" / "2026-11-03.jsonl").write_text('{"id": "e1", "email": "ana@example.com"')

    with pytest.raises(
        AirflowFailException, match=r"opens/2026-11-03.jsonl.*line 1 is not JSON.*extract its day again"
    ) as raised:
        report(tmp_path / "r.html", events_path=events)

    assert "ana" not in str(raised.value)
    assert (tmp_path / "r.html").read_bytes() == before
