"""ExtractEventsOperator: which time a run reads, its errors, and what Airflow gets."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    Asset,
    ObjectStoragePath,
    TaskDeferred,
)

from airflow_provider_salesblink.client import ServerError
from airflow_provider_salesblink.operators.asset_cursors import AssetCursors
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from airflow_provider_salesblink.operators.results import ExtractEventsOperator
from airflow_provider_salesblink.results.windows import SETTLING_TIME
from tests.conftest import GENERATION
from tests.results.extracting import digests, ids, ms, rows, truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = [pytest.mark.apis("v1"), pytest.mark.usefixtures("connection")]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


def add_past(sandbox: Sandbox, days: int = 5) -> None:
    """Add a mail for each of the last hours."""
    for hours in range(1, days * 24 + 1):
        sandbox.add_event("Sent", email=f"h{hours}@example.com", sequence_id="s1", time_ms=ms(now() - hours * HOUR))


def operator(path: Any, **options: Any) -> ExtractEventsOperator:
    return ExtractEventsOperator(**{"task_id": "extract", "feeds": ["sent"], "output_path": path, **options})


class Run:
    """What a context says about the run."""

    def __init__(self, run_type: str) -> None:
        self.run_type = run_type


def interval(start: datetime, end: datetime, run_type: str | None = None) -> Any:
    context: dict[str, Any] = {"data_interval_start": start, "data_interval_end": end}
    return {**context, "dag_run": Run(run_type)} if run_type else context


def test_a_run_leaves_counts_and_no_people(sandbox: Sandbox, tmp_path: Path, task_log: Callable[[], list[str]]) -> None:
    add_past(sandbox, days=2)

    result = operator(tmp_path).execute({})

    days = sorted({row["time"][:10] for row in rows(tmp_path)})
    assert result == {
        "outcome": "extracted", "path": str(tmp_path), "read": 48, "new": 48, "days": days,
        "feeds": {"sent": {"read": 48, "new": 48}},
    }  # fmt: skip
    assert "@" not in str(result)
    assert not any("@" in line for line in task_log())
    assert operator(tmp_path).execute({}) == {**result, "new": 0, "days": [], "feeds": {"sent": {"read": 48, "new": 0}}}


def test_since_is_where_the_first_run_begins(sandbox: Sandbox, tmp_path: Path) -> None:
    add_past(sandbox)
    since = now() - 30 * HOUR

    operator(tmp_path, since=since.isoformat()).execute({})

    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], since, now())
    operator(tmp_path, since=since.isoformat(), lookback=timedelta(hours=40)).execute({})
    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], now() - SETTLING_TIME - 40 * HOUR, now())


@pytest.mark.parametrize("run_type", ["backfill", None])
def test_a_backfill_extracts_its_interval_and_leaves_the_cursor(
    sandbox: Sandbox, tmp_path: Path, run_type: str | None
) -> None:
    add_past(sandbox)
    start = now() - 3 * DAY

    operator(tmp_path).execute(interval(start, start + DAY, run_type))

    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], start, start + DAY)
    assert not (tmp_path / "sent" / "_cursor.json").exists()


def test_a_backfill_without_an_interval_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    moment = now() - 15 * DAY

    with pytest.raises(AirflowFailException, match=r"no data interval.*CronDataIntervalTimetable"):
        operator(tmp_path).execute(interval(moment, moment, "backfill"))

    assert sandbox.requests == []


def test_a_scheduled_run_before_since_extracts_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    add_past(sandbox)

    result = operator(tmp_path, since=now() - HOUR).execute(interval(now() - 3 * DAY, now() - 2 * DAY, "scheduled"))

    assert result["new"] == 0


def test_since_and_until_are_extracted_exactly(sandbox: Sandbox, tmp_path: Path) -> None:
    add_past(sandbox)
    start = now() - 3 * DAY

    operator(tmp_path, since=start, until=(start + DAY).isoformat()).execute(interval(start - DAY, start, "scheduled"))

    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], start, start + DAY)
    assert not (tmp_path / "sent" / "_cursor.json").exists()


def test_scheduled_runs_end_with_their_intervals(sandbox: Sandbox, tmp_path: Path) -> None:
    add_past(sandbox)
    start = now() - 4 * DAY
    extract = operator(tmp_path, since=start)

    extract.execute(interval(start, start + DAY, "scheduled"))
    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], start, start + DAY)
    extract.execute(interval(start + 2 * DAY, start + 3 * DAY, "scheduled"))
    assert not truth(sandbox.events, ["sent"], start, start + 3 * DAY) - Counter(ids(tmp_path))
    late = sandbox.add_event("Sent", time_ms=ms(start + HOUR))
    extract.execute(interval(start, start + DAY, "scheduled"))
    assert late.id in ids(tmp_path)


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_other_runs_extract_until_now(sandbox: Sandbox, tmp_path: Path, run_type: str) -> None:
    add_past(sandbox)

    operator(tmp_path).execute(interval(now() - 3 * DAY, now() - 2 * DAY, run_type))

    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], None, now())


def test_an_outcomes_file_joins_on_the_same_hash(sandbox: Sandbox, tmp_path: Path) -> None:
    people = sandbox.add_list("People")
    campaign = sandbox.add_campaign("Spring", lists=[people], paused=True)
    AddProspectsOperator(
        task_id="load", campaign_id=campaign, rows=[{"Email": "Ana@Example.com"}],
        outcomes_path=f"{tmp_path}/outcomes.jsonl", settle=1,
    ).execute({})  # fmt: skip
    sandbox.add_event("Sent", email="ana@example.com", time_ms=ms(now() - HOUR))

    operator(tmp_path / "events").execute({})

    outcome = json.loads((tmp_path / "outcomes.jsonl").read_text())
    (event,) = rows(tmp_path / "events")
    assert event["person"] == outcome["person"]


@pytest.mark.parametrize("people", ["hash", "none"])
@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_no_address_is_anywhere(
    sandbox: Sandbox, tmp_path: Path, task_log: Callable[[], list[str]], people: Any, file_format: Any
) -> None:
    extra = {"sender": "bo@acme.example", "body": "from zoe@example.com", "cc": ["zoe@example.com"]}
    for message in ("Sent", "Replied", "Error", "Clicked"):
        link = "https://acme.example/?e=zoe%40example.com"
        sandbox.add_event(message, email="zoe@example.com", time_ms=ms(now() - HOUR), link=link, **extra)

    result = operator(
        tmp_path, feeds=["sent", "replies", "reports", "clicks"], people=people, file_format=file_format, bodies=True
    ).execute({})

    assert len(rows(tmp_path)) == 4
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for text in (everything.decode("latin-1"), str(rows(tmp_path)), str(result), *task_log()):
        assert "zoe" not in text
        assert "bo@" not in text


def test_a_429_defers_and_what_was_read_is_not_read_again(
    connection: Callable[..., None], sandbox: Sandbox, tmp_path: Path
) -> None:
    connection(extra={"max_attempts": 1})
    add_past(sandbox)
    sandbox.add_event("Opened", time_ms=ms(now() - HOUR))
    sandbox.fault("v1.listOpens", "429", retry_after=120, times=None)
    extract = operator(tmp_path, feeds=["sent", "opens"])

    with pytest.raises(TaskDeferred) as deferred:
        extract.execute({})
    sandbox.clear_faults()
    sent_before = sum(request.path.endswith("/sent") for request in sandbox.requests)
    result = operator(tmp_path, feeds=["sent", "opens"]).resume({}, None, **(deferred.value.kwargs or {}))

    assert result["feeds"] == {"sent": {"read": 120, "new": 120}, "opens": {"read": 1, "new": 1}}
    assert sum(request.path.endswith("/sent") for request in sandbox.requests) <= sent_before + 1


def test_what_arrives_during_a_deferral_is_left_to_the_next_run(
    connection: Callable[..., None], sandbox: Sandbox, tmp_path: Path
) -> None:
    connection(extra={"max_attempts": 1})
    sandbox.add_event("Sent", time_ms=ms(now() - HOUR))
    sandbox.fault("v1.listOpens", "429", retry_after=120, times=None)
    options: dict[str, Any] = {"feeds": ["sent", "opens"], "lookback": "1h"}
    with pytest.raises(TaskDeferred) as deferred:
        operator(tmp_path, **options).execute({})
    begun = now()
    sandbox.clear_faults()

    operator(tmp_path, **options).resume({}, None, **(deferred.value.kwargs or {}))

    cursor = json.loads((tmp_path / "sent" / "_cursor.json").read_text())
    assert datetime.fromisoformat(cursor["until"]) <= begun - SETTLING_TIME


@pytest.mark.parametrize("name", ["sent", "sent/_cursor.json", "_lock"])
def test_a_place_that_is_taken_is_an_error_for_good(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    add_past(sandbox, days=1)
    if name == "sent":
        (tmp_path / name).write_text("")
    else:
        (tmp_path / name).mkdir(parents=True)

    with pytest.raises(AirflowFailException, match="cannot be used"):
        operator(tmp_path).execute({})


def test_days_that_a_failed_run_wrote_are_reported_by_the_next_one(
    connection: Callable[..., None], sandbox: Sandbox, tmp_path: Path
) -> None:
    connection(extra={"max_attempts": 1})
    add_past(sandbox, days=2)
    sandbox.fault("v1.listOpens", "status", status=500)
    feeds = ["sent", "opens"]

    with pytest.raises(ServerError):
        operator(tmp_path, feeds=feeds).execute({})
    days = sorted({row["time"][:10] for row in rows(tmp_path)})
    result = operator(tmp_path, feeds=feeds).execute({})

    assert days
    assert (result["new"], result["days"]) == (0, days)
    assert operator(tmp_path, feeds=feeds).execute({})["days"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"feeds": ["sent", "bounces"]},
            "feeds is 'bounces'; it takes 'sent', 'opens', 'clicks', 'replies', 'reports'",
        ),
        ({"feeds": []}, "feeds is empty"),
        ({"feeds": "bounces"}, "feeds is 'bounces'"),
        ({"feeds": None}, "feeds is None; it takes a list of 'sent'"),
        ({"file_format": "csv"}, "file_format is 'csv'; it takes 'jsonl', 'parquet'"),
        ({"people": "names"}, "people is 'names'; it takes 'hash', 'address', 'none'"),
        ({"bodies": "False"}, "bodies is 'False'; it takes True or False"),
        ({"bodies": 1}, "bodies is 1; it takes True or False"),
        ({"max_wait": -1}, "max_wait is -1; give a number of seconds, 0 or more"),
    ],
)
def test_a_wrong_word_is_an_error_when_the_dag_is_parsed(tmp_path: Path, options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        operator(tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"since": "2099-01-01"}, "in the future"),
        ({"since": "yesterday"}, "since is 'yesterday'"),
        (
            {"since": datetime(2026, 1, 1)},  # noqa: DTZ001
            "since is the datetime 2026-01-01T00:00:00, which has no time zone: add one .tzinfo., or pass text",
        ),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "since is 2026-01-02.*until is 2026-01-01.*swap them"),
        ({"lookback": "a while"}, "lookback is 'a while'"),
        ({"output_path": ""}, "output_path is ''"),
        ({"output_path": "None"}, "its template found nothing"),
        ({"output_path": "nowhere://bucket/events"}, "output_path 'nowhere://bucket/events' cannot be used"),
        ({"campaign_id": ""}, "campaign_id is empty"),
        ({"output_path": "/proc/events"}, "output_path '/proc/events' cannot be used"),
    ],
)
def test_a_wrong_argument_is_an_error_before_a_feed_is_read(
    sandbox: Sandbox, tmp_path: Path, options: Any, words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        operator(tmp_path, **options).execute({})

    assert not [request for request in sandbox.requests if request.path.endswith("/sent")]
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "_lock"])


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(("lookback", "warns"), [("0d", True), ("1s", False)])
def test_no_lookback_is_a_warning(
    lookback: str, warns: bool, tmp_path: Path, task_log: Callable[[], list[str]]
) -> None:
    operator(tmp_path, lookback=lookback).execute({})

    assert any("lookback is 0, so events that arrive late are missed" in line for line in task_log()) is warns


def test_a_template_that_needs_a_logical_date_says_so(tmp_path: Path) -> None:
    with DAG("no_logical_date", schedule=None):
        extract = operator(f"{tmp_path}/{{{{ ds }}}}")

    with pytest.raises(AirflowFailException, match=r"ds is undefined: this run has no logical date.*{{ run_id }}"):
        extract.render_template_fields({})  # type: ignore[typeddict-item]


def test_output_path_may_not_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("")

    with pytest.raises(AirflowFailException, match="output_path is a file"):
        operator(tmp_path / "events").execute({})


def test_the_classic_api_fails_for_good(connection: Callable[..., None], sandbox: Sandbox, tmp_path: Path) -> None:
    connection(extra={"api_version": "classic"})

    with pytest.raises(AirflowFailException, match=r"api_version to 'v1'.*changes_only=True"):
        operator(tmp_path).execute({})

    assert sandbox.requests == []


@pytest.mark.parametrize("kind", [str, ObjectStoragePath])
def test_output_path_may_be_a_url(sandbox: Sandbox, tmp_path: Path, kind: Any) -> None:
    add_past(sandbox, days=1)
    path = f"file://{tmp_path}/events"

    result = operator(kind(path)).execute({})

    assert (result["new"], result["path"]) == (24, path)
    assert operator(path).execute({})["new"] == 0
    assert len(list((tmp_path / "events" / "sent").glob("2*"))) == len(result["days"])


def test_a_dag_run_gives_the_asset_the_counts(sandbox: Sandbox, tmp_path: Path, run_dag: Callable[..., Any]) -> None:
    add_past(sandbox, days=2)
    asset = Asset(f"file://{tmp_path}/events")
    seen: dict[str, Any] = {}

    class Watched(ExtractEventsOperator):
        def _report(self, context: Any, result: dict[str, Any]) -> dict[str, Any]:
            found = super()._report(context, result)
            event = context["outlet_events"][asset]
            seen.update(extra=dict(event.extra), partitions=sorted(getattr(event, "partition_keys", ())))
            store = context.get("asset_state_store")
            seen["state"] = None if store is None else store[asset].get(state_key(tmp_path))
            return found

    run = run_dag(_dag("extract_events_once", Watched, asset, tmp_path))

    assert str(run.state).endswith("success")
    assert seen["extra"]["new"] == 48
    assert seen["partitions"] == (seen["extra"]["days"] if GENERATION == 3 else [])
    if GENERATION == 3:
        assert '"until"' in seen["state"]
        assert not (tmp_path / "events" / "sent" / "_cursor.json").exists()
    else:
        assert (tmp_path / "events" / "sent" / "_cursor.json").exists()
    written = digests(tmp_path / "events")
    run_dag(_dag("extract_events_once", Watched, asset, tmp_path))
    assert seen["extra"]["new"] == 0
    assert digests(tmp_path / "events") == written


def state_key(tmp_path: Path) -> str:
    return AssetCursors(None, f"{tmp_path}/events", None)._key("sent")


def _dag(name: str, kind: Any, asset: Any, tmp_path: Path) -> Any:
    with DAG(name, schedule=None) as dag:
        kind(task_id="extract", feeds=["sent"], output_path=f"{tmp_path}/events", outlets=[asset])
    return dag
