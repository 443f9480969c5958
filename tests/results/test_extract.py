"""Extract events from a sandbox into files: each once, whatever the feeds do."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    InvalidInputError,
    SalesBlinkClient,
    SalesBlinkError,
    UnsupportedByApiError,
)
from airflow_provider_salesblink.results.cursor import Cursor, CursorFiles, Position
from airflow_provider_salesblink.results.extract import Extraction, ExtractOptions
from airflow_provider_salesblink.results.report_sources import campaign_events
from airflow_provider_salesblink.results.windows import Plan, Window
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules
from tests.client.raw_server import RawServer, answer
from tests.results.extracting import END, NOW, add_events, digests, extract, folder_of, ids, ms, rows, truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.raw_server import Piece, Received

pytestmark = pytest.mark.apis("v1")

ALL = ("sent", "opens", "clicks", "replies", "reports")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def pages(sandbox: Sandbox, path: str = "/sent") -> int:
    return sum(request.path.endswith(path) for request in sandbox.requests)


def tomorrow() -> int:
    # By the sandbox's clock, which decides what has arrived: NOW is a day that has passed.
    return ms(datetime.now(UTC) + DAY)


def test_each_feed_has_a_file_for_each_day(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    for message in ("Sent", "Opened", "Clicked", "Replied", "Bounced", "Unsubscribed", "Error"):
        for days in (1, 2):
            sandbox.add_event(message, email="ana@example.com", time_ms=ms(NOW - days * DAY), arrives_ms=0)

    extraction = extract(client, tmp_path, ALL)

    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*.jsonl"))] == [
        f"{feed}/{day}.jsonl" for feed in sorted(ALL) for day in ("2026-11-23", "2026-11-24")
    ]
    assert Counter(row["message"] for row in rows(tmp_path)) == Counter(
        dict.fromkeys(("Sent", "Opened", "Clicked", "Replied", "Bounced", "Unsubscribed", "Error"), 2)
    )
    assert Counter(ids(tmp_path)) == truth(sandbox.events, ALL, None, END)
    assert {feed: report.new for feed, report in extraction.reports.items()} == {**dict.fromkeys(ALL, 2), "reports": 6}


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_a_second_run_changes_no_byte(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, file_format: str
) -> None:
    add_events(sandbox, 250, every=1200)
    first = extract(client, tmp_path, file_format=file_format)
    written = digests(tmp_path)

    second = extract(client, tmp_path, file_format=file_format)
    later = extract(client, tmp_path, file_format=file_format, now=NOW + HOUR)

    assert first.reports["sent"].new == len(ids(tmp_path)) == 250
    assert (second.reports["sent"].new, later.reports["sent"].new) == (0, 0)
    assert digests(tmp_path) == written


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_a_late_event_is_added_to_the_file_of_its_day(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, file_format: str
) -> None:
    add_events(sandbox, 30, every=7200)
    extract(client, tmp_path, file_format=file_format)
    before = {row["id"]: row for row in rows(tmp_path)}
    late = sandbox.add_event("Sent", time_ms=ms(NOW - 40 * HOUR), email="late@example.com")

    found = extract(client, tmp_path, file_format=file_format, now=NOW + HOUR)

    assert list(found.reports["sent"].days) == ["2026-11-23"]
    after = {row["id"]: row for row in rows(tmp_path)}
    assert after.keys() - before.keys() == {late.id}
    assert before.items() <= after.items()
    day = [row["time"] for row in rows(tmp_path) if row["time"].startswith("2026-11-23")]
    assert day == sorted(day)


def test_an_event_that_is_later_than_the_lookback_is_not_read(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 3)
    extract(client, tmp_path)
    sandbox.add_event("Sent", time_ms=ms(END - 3 * DAY) - 1)
    last = sandbox.add_event("Sent", time_ms=ms(END - 3 * DAY))

    found = extract(client, tmp_path, now=NOW + HOUR)

    assert found.reports["sent"].new == 1
    assert last.id in ids(tmp_path)


def test_an_event_in_the_future_is_written_once_it_is_due(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 5)
    ahead = sandbox.add_event("Sent", time_ms=ms(NOW + 18 * HOUR))

    counts = []
    for hours in range(0, 25, 3):
        extract(client, tmp_path, now=NOW + hours * HOUR)
        sandbox.add_event("Sent", time_ms=ms(NOW + hours * HOUR), email=f"h{hours}@example.com")
        counts.append(ids(tmp_path).count(ahead.id))

    assert counts == [0] * 7 + [1, 1]
    extract(client, tmp_path, now=NOW + 30 * HOUR)
    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], None, END + 30 * HOUR)


@pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("envelope", [True, False])
def test_limits_of_windows_are_exact_whatever_the_feed_includes(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, order: Any, *, inclusive: bool, envelope: bool
) -> None:
    sandbox.v1 = V1Rules(feed_order=order, from_inclusive=inclusive, to_inclusive=inclusive, feed_envelope=envelope)
    for shift in (-1, 0, 1):
        for limit in (NOW - 2 * DAY, NOW - DAY):
            sandbox.add_event("Sent", time_ms=ms(limit) + shift, arrives_ms=0)

    extract(client, tmp_path, plan=Plan(NOW - 2 * DAY, NOW - DAY, is_fixed=True))

    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], NOW - 2 * DAY, NOW - DAY)
    assert len(ids(tmp_path)) == 3


@pytest.mark.parametrize("order", ["newest", "oldest", "arrival"])
@pytest.mark.parametrize("feed", ["sent", "reports"])
def test_events_that_arrive_while_pages_are_read_are_read_too(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, order: Any, feed: str
) -> None:
    message = "Sent" if feed == "sent" else "Bounced"
    add_events(sandbox, 950, every=200, message=message)
    for number in range(4):
        sandbox.add_event(message, time_ms=ms(NOW - 30 * HOUR) + number, arrives_ms=tomorrow())
    sandbox.v1 = V1Rules(feed_moves=2, feed_order=order)

    extract(client, tmp_path, [feed])

    assert Counter(ids(tmp_path)) == truth(sandbox.events, [feed], None, END)


@pytest.mark.parametrize("feed", ["sent", "reports"])
@pytest.mark.parametrize("every", [1, 3])
def test_events_that_pages_repeat_are_written_once(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, feed: str, every: int
) -> None:
    message = "Sent" if feed == "sent" else "Error"
    add_events(sandbox, 730, message=message)
    sandbox.v1 = V1Rules(feed_repeats=every)

    extract(client, tmp_path, [feed])

    assert Counter(ids(tmp_path)) == truth(sandbox.events, [feed], None, END)
    # Read twice: the second time nothing is new.
    assert pages(sandbox, f"/{feed}") <= 2 * 9 + 4


def test_events_of_one_moment_are_all_read(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    for number in range(350):
        sandbox.add_event("Sent", email=f"p{number}@example.com", time_ms=ms(NOW - HOUR), arrives_ms=0)

    extract(client, tmp_path)

    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], None, END)


def test_pages_that_never_stand_still_end_with_a_warning(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_events(sandbox, 450)
    for number in range(100):
        sandbox.add_event("Sent", time_ms=ms(NOW - HOUR) + number, arrives_ms=tomorrow())
    sandbox.v1 = V1Rules(feed_moves=1, feed_order="newest")
    with caplog.at_level(logging.WARNING):
        extract(client, tmp_path)
    arrived = len(sandbox.requests)

    assert "an event may be missing" in caplog.text
    assert arrived < 30
    sandbox.v1 = V1Rules()
    extract(client, tmp_path, now=NOW + HOUR)
    visible = [event for event in sandbox.events if event.arrives <= ms(datetime.now(UTC))]
    assert Counter(ids(tmp_path)) == truth(visible, ["sent"], None, END + HOUR)


@pytest.mark.parametrize("feed", ["sent", "reports"])
@pytest.mark.parametrize("kind", ["reset", "status", "truncated", "html", "rate_limit"])
def test_a_call_that_fails_now_and_then_loses_no_event(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, feed: str, kind: str
) -> None:
    message = "Sent" if feed == "sent" else "Unsubscribed"
    add_events(sandbox, 1234, message=message)
    operation = "v1.listSent" if feed == "sent" else "v1.listReports"
    options = {"status": {"status": 503}, "rate_limit": {"retry_after": 0}}.get(kind, {})
    sandbox.fault(operation, "429" if kind == "rate_limit" else kind, times=3, **options)

    for _ in range(4):
        try:
            extract(client, tmp_path, [feed])
            break
        except SalesBlinkError:
            continue

    assert Counter(ids(tmp_path)) == truth(sandbox.events, [feed], None, END)


def test_only_the_events_of_a_campaign(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.add_campaign("Spring", id="s/1", paused=True)
    for sequence in ("s/1", "s2"):
        for message in ("Sent", "Bounced"):
            sandbox.add_event(message, sequence_id=sequence, time_ms=ms(NOW - HOUR), arrives_ms=0)

    extract(client, tmp_path, ["sent", "reports"], campaign_id="s/1")

    assert [(row["feed"], row["sequence_id"]) for row in rows(tmp_path)] == [("reports", "s/1"), ("sent", "s/1")]
    extract(client, tmp_path, ["sent", "reports"])
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 4


def test_a_fixed_window_leaves_the_cursor(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    add_events(sandbox, 48, every=3600)
    extract(client, tmp_path, plan=Plan(since=NOW - 3 * HOUR))
    cursor = (tmp_path / "sent" / "_cursor.json").read_bytes()

    extract(client, tmp_path, plan=Plan(NOW - 2 * DAY, NOW - DAY, is_fixed=True))

    assert (tmp_path / "sent" / "_cursor.json").read_bytes() == cursor
    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], NOW - 2 * DAY, NOW - DAY) + truth(
        sandbox.events, ["sent"], NOW - 3 * HOUR, END
    )


def test_the_fewest_requests(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    add_events(sandbox, 5050, every=60)

    extract(client, tmp_path, plan=Plan(since=NOW - 4 * DAY))

    assert len(ids(tmp_path)) == 5050
    assert len(sandbox.requests) <= ceil(5050 / 100) * 1.05
    extract(client, tmp_path, now=NOW + HOUR)
    reads = len(sandbox.requests)
    extract(client, tmp_path, now=NOW + HOUR)
    assert len(sandbox.requests) - reads <= ceil(len(ids(tmp_path)) / 100) * 1.05


def test_the_log_says_how_much_there_is_to_read_before_it_is_read(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_events(sandbox, 1000, every=20)
    url, pacing = sandbox.url, f"file://{tmp_path}/pace.sqlite"

    client = SalesBlinkClient(sandbox.key, url, "v1", reads_per_minute=5, pacing_url=pacing, max_attempts=1)
    with client, client.waiting_at_most(0), caplog.at_level(logging.INFO), pytest.raises(SalesBlinkError):
        extract(client, tmp_path / "events", ["sent", "opens"])

    assert "Reading sent, opens takes about 11 requests of up to 100 events: about 2 min" in caplog.text
    assert "at 5 a minute" in caplog.text
    assert len(sandbox.requests) == 5
    with SalesBlinkClient(sandbox.key, url, "v1", reads_per_minute=0) as client, caplog.at_level(logging.INFO):
        extract(client, tmp_path / "events", ["sent", "opens"])
    assert "no waiting for the limit" in caplog.text
    assert len(ids(tmp_path / "events")) == 1000


def test_the_classic_api_is_an_error_that_says_what_works_there(sandbox: Sandbox, tmp_path: Path) -> None:
    with (
        SalesBlinkClient(sandbox.key, sandbox.url) as client,
        pytest.raises(UnsupportedByApiError, match="changes_only=True"),
    ):
        extract(client, tmp_path)

    assert sandbox.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 2, "until": "2026-11-25T12:00:00+00:00", "events": 0, "seconds": 0}',
     '{"version": 1, "until": "soon", "events": 0, "seconds": 0}',
     '{"version": 1, "until": "2026-11-25T12:00:00", "events": "x", "seconds": 1}'],
)  # fmt: skip
def test_a_cursor_that_cannot_be_read_is_an_error(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, text: str
) -> None:
    add_events(sandbox, 3)
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "_cursor.json").write_text(text)

    with pytest.raises(InvalidInputError, match=r"sent/_cursor\.json cannot be read.*delete it"):
        extract(client, tmp_path)

    assert pages(sandbox) == 0
    (tmp_path / "sent" / "_cursor.json").unlink()
    extract(client, tmp_path)
    assert len(ids(tmp_path)) == 3


def test_a_file_that_something_else_wrote_is_an_error_and_stays(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 5)
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "2026-11-25.jsonl").write_text('{"ID": 1}\n')

    with pytest.raises(InvalidInputError, match=r"sent/2026-11-25\.jsonl in output_path cannot be read"):
        extract(client, tmp_path)

    assert (tmp_path / "sent" / "2026-11-25.jsonl").read_text() == '{"ID": 1}\n'
    assert not (tmp_path / "sent" / "_cursor.json").exists()


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl.gz"])
def test_another_format_in_the_same_folder_is_an_error(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, suffix: str
) -> None:
    add_events(sandbox, 5)
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / f"2026-11-24{suffix}").write_bytes(b"")

    with pytest.raises(InvalidInputError, match="another format"):
        extract(client, tmp_path)


def test_two_extractions_at_once_lose_nothing(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    add_events(sandbox, 300, every=600)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            extract(client, tmp_path)
        except BaseException as error:  # noqa: BLE001  # shown below
            errors.append(error)

    for _ in range(2):
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        add_events(sandbox, 30, every=7777)

    extract(client, tmp_path, now=NOW + HOUR)
    assert errors == []
    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], None, END)
    assert not list(tmp_path.rglob("*.part"))


@pytest.fixture
def feed() -> Iterator[Callable[..., SalesBlinkClient]]:
    """Return a function that makes a client of a server whose feed has only the given events."""
    with ExitStack() as stack:

        def serve(*events: dict[str, Any]) -> SalesBlinkClient:
            def respond(request: Received) -> Iterator[Piece]:
                yield answer({"success": True, "data": list(events) if "/sent" in request.target else []})

            server = stack.enter_context(RawServer(respond))
            return stack.enter_context(SalesBlinkClient("k", server.url, "v1", reads_per_minute=0))

        yield serve


def test_an_event_without_a_readable_time_is_kept_apart(feed: Callable[..., SalesBlinkClient], tmp_path: Path) -> None:
    for _ in range(2):
        extract(feed({"id": "e1", "time": "soon"}, {"id": "e2", "time": ms(END - HOUR)}), tmp_path)

    assert [(row["id"], row["time"]) for row in rows(tmp_path)] == [
        ("e2", "2026-11-25T10:59:00.000+00:00"),
        ("e1", None),
    ]
    assert (tmp_path / "sent" / "undated.jsonl").exists()


def test_an_event_that_shows_no_campaign_is_of_the_one_that_was_asked_for(
    feed: Callable[..., SalesBlinkClient], tmp_path: Path
) -> None:
    client = feed({"id": "e1", "time": ms(END - HOUR), "sequence": ""}, {"id": "e2", "time": ms(END), "sequence": "s2"})
    window = Window(NOW - DAY, NOW)
    # A first run would look the campaign up.
    Cursor(CursorFiles(folder_of(tmp_path), "s1")).advance("sent", Position(NOW - DAY), NOW)

    extract(client, tmp_path, campaign_id="s1", now=NOW + HOUR)

    assert {row["id"]: row["sequence_id"] for row in rows(tmp_path)} == {"e1": "s1", "e2": "s2"}
    assert {row["id"]: row["sequence_id"] for row in campaign_events(client, "s1", window)} == {"e1": "s1", "e2": "s2"}


def test_an_id_whose_time_changed_is_not_written_again(feed: Callable[..., SalesBlinkClient], tmp_path: Path) -> None:
    for hours in (30, 1):
        extract(feed({"id": "e1", "time": ms(NOW - hours * HOUR)}), tmp_path)

    assert [row["time"] for row in rows(tmp_path)] == ["2026-11-24T06:00:00.000+00:00"]


def test_events_outside_the_window_are_left_out_and_counted(
    feed: Callable[..., SalesBlinkClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extract(
        feed({"id": "e1", "time": 1_795_600_000}, {"id": "e2", "time": ms(END - HOUR)}), tmp_path, plan=Plan(NOW - DAY)
    )

    assert ids(tmp_path) == ["e2"]
    assert "1 events of sent outside the window" in caplog.text


def test_a_deferred_run_does_not_mislead_the_estimate_of_the_next_one(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 500, every=400)
    sandbox.add_event("Opened", time_ms=ms(NOW - HOUR), arrives_ms=0)
    folder, options = folder_of(tmp_path), ExtractOptions(["sent", "opens"], Plan(since=NOW - 3 * DAY))
    sandbox.fault("v1.listOpens", "429", retry_after=0, times=None)
    first = Extraction(client, folder, CursorFiles(folder), options)
    with pytest.raises(SalesBlinkError):
        first.run(NOW)
    sandbox.clear_faults()
    Extraction(client, folder, CursorFiles(folder), options, first.state()).run(NOW + timedelta(minutes=2))
    reads = len(sandbox.requests)

    extract(client, tmp_path, now=NOW + HOUR)

    assert len(sandbox.requests) - reads <= 9
    assert Counter(row["id"] for row in rows(tmp_path) if row["feed"] == "sent") == truth(
        sandbox.events, ["sent"], NOW - 3 * DAY, END
    )


def test_a_short_first_run_does_not_mislead_the_next_one(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 1000, every=0.5)
    extract(client, tmp_path, plan=Plan(since=NOW - timedelta(minutes=10)))
    reads = len(sandbox.requests)

    extract(client, tmp_path, now=NOW + HOUR)

    assert len(sandbox.requests) - reads <= 13


def test_a_clock_that_was_wrong_once_hides_nothing(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = Plan(lookback=timedelta(0))
    extract(client, tmp_path, plan=plan, now=NOW + 18 * HOUR)

    for hour in range(1, 17):
        sandbox.add_event("Sent", time_ms=ms(NOW + hour * HOUR), arrives_ms=0)
        extract(client, tmp_path, plan=plan, now=NOW + (hour + 1) * HOUR)

    assert len(ids(tmp_path)) == 16
    assert caplog.text.count("is in the future") == 1


@pytest.mark.parametrize("size", [150, 1000])
def test_a_page_with_more_events_than_asked_for_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, feed: Callable[..., SalesBlinkClient], size: int
) -> None:
    events = [{"id": f"e{number}", "time": ms(END - HOUR)} for number in range(size)]

    extract(feed(*events), tmp_path)

    assert len(ids(tmp_path)) == size
    assert "an event may be missing" in caplog.text


@pytest.mark.parametrize(
    "totals",
    [{"sent": 10**12}, {"sent": -5}, {"sent": "many"}, {"_id": {"date": "9999-12-31"}}, {"_id": None}, {"sent": None}],
)
def test_absurd_totals_do_not_stop_an_extraction(tmp_path: Path, totals: dict[str, Any]) -> None:
    day = {"_id": {"date": "2026-11-24"}, "sent": 1, **totals}

    def respond(request: Received) -> Iterator[Piece]:
        is_feed = "/sent" in request.target
        yield answer({"success": True, "data": [{"id": "e1", "time": ms(END - HOUR)}] if is_feed else [day]})

    with RawServer(respond) as server, SalesBlinkClient("k", server.url, "v1", reads_per_minute=0) as client:
        extract(client, tmp_path)

    assert ids(tmp_path) == ["e1"]


def test_half_of_a_surrogate_pair_does_not_stop_a_parquet_file(
    feed: Callable[..., SalesBlinkClient], tmp_path: Path
) -> None:
    event = {"id": "e\ud800", "time": ms(END - HOUR), "link": "a\ud800b", "template_name": "\udfff", "x": "\ud800"}
    for _ in range(2):
        extract(feed(event), tmp_path, file_format="parquet")

    assert len(ids(tmp_path)) == 1
