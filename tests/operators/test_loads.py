"""Bringing many people into a campaign, in a real Airflow."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, TaskDeferred, task
from pyarrow import parquet

from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from airflow_provider_salesblink.sandbox import V1Rules
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

ROWS = [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(20)]


def by_address(people: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """People in flight together arrive in any order."""
    return sorted(people, key=lambda columns: columns["Email"])


def load(campaign: CampaignUnderTest, **options: Any) -> dict[str, Any]:
    return AddProspectsOperator(task_id="t", campaign_id=campaign.id, **options).execute({})


def test_a_list_of_people_is_added(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    xcom = load(campaign, rows=ROWS)

    assert (xcom["outcome"], xcom["rows"], xcom["added"], xcom["rejected_path"]) == ("loaded", 20, 20, None)
    assert by_address(person.fields for person in sandbox.people()) == by_address(ROWS)


def test_a_parquet_file_of_people_is_added(sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> None:
    path = tmp_path / "people.PARQUET"
    parquet.write_table(pa.Table.from_pylist(ROWS), path)

    assert load(campaign, rows_path=f"file://{path}")["added"] == 20
    assert by_address(person.fields for person in sandbox.people()) == by_address(ROWS)


@pytest.mark.parametrize("name", ["eu.parquet", "eu.csv", "eu.jsonl"])
def test_an_error_about_the_content_of_a_file_names_it(
    name: str, sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04xl/")

    with pytest.raises(AirflowFailException) as raised:
        load(campaign, rows_path=f"file://{tmp_path}/{name}")

    assert "The file is an Excel workbook (.xlsx): save it as CSV UTF-8." in str(raised.value)
    assert str(raised.value).endswith(f"The file is rows_path 'file://{tmp_path}/{name}'.")
    assert sandbox.people() == []


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_of_people_is_added(suffix: str, sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> None:
    path = tmp_path / f"people{suffix}"
    lines = ["Email;First Name", *(f"{row['Email']};{row['First Name']}" for row in ROWS)]
    path.write_text("\n".join(lines if suffix == ".csv" else [json.dumps(row) for row in ROWS]))

    assert load(campaign, rows_path=f"file://{path}")["added"] == 20
    assert by_address(person.fields for person in sandbox.people()) == by_address(ROWS)


def test_good_rows_are_sent_and_the_others_kept_with_their_reasons(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    rejected = tmp_path / "new" / "rejected.jsonl"
    rows = [*ROWS[:2], {"Email": "nobody"}, {"First Name": "Ana"}]

    with pytest.raises(AirflowFailException) as failed:
        load(campaign, rows=rows, rejected_path=f"file://{rejected}")

    assert "2 of 4 rows refused, more than max_rejected=0" in str(failed.value)
    assert "row 3: Its 'Email' is not an e-mail address" in str(failed.value)
    assert len(sandbox.people()) == 2
    assert [json.loads(line) for line in rejected.read_text().splitlines()] == [
        {
            "row": 3,
            "reason": "Its 'Email' is not an e-mail address: it has no at sign.",
            "columns": {"Email": "nobody"},
        },
        {"row": 4, "reason": "It has no 'Email'.", "columns": {"First Name": "Ana"}},
    ]


def test_a_reject_says_that_its_person_may_have_opted_out(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    rows = [{"Email": "dan@gmail", "Out": "yes"}, {"Email": "eve@gmail", "Out": "no"}, {"Email": "b@b.co", "Out": "?"}]

    load(campaign, rows=rows, opt_out_columns=["Out"], max_rejected=3, rejected_path=f"file://{rejected}")

    lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert [line.get("may_have_opted_out") for line in lines] == [True, None, True]


def test_an_earlier_row_of_a_person_in_doubt_says_so_too(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    rows = [{"Email": "dan@example.com", "Out": ""}, {"Email": "Dan@example.com", "Out": "??"}]

    load(campaign, rows=rows, opt_out_columns=["Out"], max_rejected=2, rejected_path=f"file://{rejected}")

    assert [json.loads(line)["may_have_opted_out"] for line in rejected.read_text().splitlines()] == [True, True]


def test_a_file_is_named_only_where_there_is_more_to_see(campaign: CampaignUnderTest) -> None:
    with pytest.raises(AirflowFailException) as few:
        load(campaign, rows=[{"Email": "nobody"}])
    with pytest.raises(AirflowFailException) as many:
        load(campaign, rows=[{"Email": "nobody"}] * 9)

    assert "rejected_path" not in str(few.value)
    assert str(many.value).endswith("Set rejected_path to get them all.")


def test_some_rejects_may_be_fine(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    path = f"file://{tmp_path}/rejected.jsonl"

    xcom = load(campaign, rows=[*ROWS[:2], {"Email": "nobody"}], max_rejected=1, rejected_path=path)

    assert (xcom["added"], xcom["rejected"], xcom["rejected_path"]) == (2, 1, path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "exactly one of rows, rows_path or sql; got none"),
        ({"rows": [], "rows_path": "x.csv"}, "exactly one of rows, rows_path or sql; got rows and rows_path"),
        ({"rows_path": "people.xlsx"}, "rows_path ends in '.xlsx': give a file in .csv"),
        (
            {"rows_path": "People.parquet.gz"},
            "rows_path ends in '.parquet.gz': unpack it. Parquet files are compressed inside.",
        ),
        (
            {"rows_path": "People.Avro"},
            "rows_path ends in '.avro': give a file in .csv, .tsv, .txt, .json,",
        ),
        ({"rows_path": "people.xlsx.gz"}, "or in .parquet. Save the spreadsheet as CSV UTF-8."),
        (
            {"rows_path": "people.jsonl", "csv_options": {}},
            "csv_options is for CSV files, and rows_path ends in '.jsonl'",
        ),
        ({"rows": "/leads/today.csv"}, "For the path of a file, use rows_path."),
        ({"rows": [{"Email": "a@b.co"}], "opt_out_columns": ["Out"]}, "No row has the opt-out column 'Out'"),
        ({"rows_path": "file:///no/such.csv"}, "cannot be used (FileNotFoundError); it does not exist on this worker"),
        ({"rows": [{"Email": "a@b.co"}], "columns": {"Mail": "Company"}}, "columns maps no column to 'Email'"),
        ({"rows": [{"Email": "a@b.co"}], "max_in_flight": 0}, "max_in_flight"),
        ({"rows": [{"Email": "a@b.co"}], "campaign_id": "nobody"}, "did not find it (404 on GET /api/"),
    ],
)
def test_a_load_that_cannot_work_says_why_and_sends_nothing(
    given: dict[str, Any], sentence: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    with pytest.raises(AirflowFailException) as failed:
        AddProspectsOperator(**{"task_id": "t", "campaign_id": campaign.id, **given}).execute({})

    assert sentence in str(failed.value)
    assert "POST" not in [request.method for request in sandbox.requests]


@pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.txt", "a.csv.gz", "a.json", "a.JSONL.gz", "a.ndjson", "b.csv"])
def test_files_are_read_by_their_names_and_may_be_packed(
    name: str, sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    is_json = "js" in name.lower()
    text = json.dumps([{**row, "Out": "no"} for row in ROWS]) if is_json else "x\n" + "".join(
        f"{cells}\n" for cells in ("Email|Out", *(f"{row['Email']}|no" for row in ROWS))
    )  # fmt: skip
    content = gzip.compress(text.encode()) if name.endswith("gz") or name.startswith("b") else text.encode()
    (tmp_path / name).write_bytes(content)

    load(
        campaign,
        rows_path=str(tmp_path / name),
        opt_out_columns=["out"],
        csv_options=None if is_json else {"skip_rows": 1},
    )

    assert sorted(person.email for person in sandbox.people()) == sorted(row["Email"] for row in ROWS)
    assert not any("Out" in person.fields for person in sandbox.people())


def test_a_folder_is_no_file(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    (tmp_path / "people.csv").mkdir()

    with pytest.raises(AirflowFailException, match="is a folder: name one file"):
        load(campaign, rows_path=f"file://{tmp_path}/people.csv")


def test_rejects_do_not_overwrite_the_rows(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[0]))
    before = path.read_text()

    for other in (str(path), f"file://{tmp_path}/x/../rows.jsonl"):
        with pytest.raises(AirflowFailException, match="rejected_path is rows_path"):
            load(campaign, rows_path=f"file://{path}", rejected_path=other)
    assert path.read_text() == before


@pytest.mark.parametrize("rows", [str(ROWS), json.dumps(ROWS[0]), "s3://leads/people.csv", "", "None"])
def test_rows_that_are_a_text_but_no_json_array_are_an_error_that_does_not_show_them(
    rows: str, campaign: CampaignUnderTest, sandbox: Sandbox
) -> None:
    operator = AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=rows)
    operator.mask_personal_data()

    with pytest.raises(
        AirflowFailException, match=r"rows is a text, but not the JSON of an array.*\| tojson"
    ) as failed:
        operator.execute({})

    assert "p0" not in str(failed.value).lower()
    assert not sandbox.requests


def test_what_is_said_of_refused_rows_is_so(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    rejected = f"file://{tmp_path}/rejected.jsonl"
    sandbox.add_person(campaign.id, {"Email": "gone@example.com"})

    with pytest.raises(AirflowFailException, match="The mirror would unsubscribe") as guarded:
        load(campaign, rows=[ROWS[0]], mode="mirror", rejected_path=rejected)
    assert rejected not in str(guarded.value)
    connection(extra={"dry_run": True})
    with pytest.raises(AirflowFailException, match="1 of 2 rows refused, more than max_rejected=0; nothing was sent"):
        load(campaign, rows=[ROWS[0], {"Email": "nobody"}])


def test_a_dry_run_plans_and_writes_nothing(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None]
) -> None:
    connection(extra={"dry_run": True})

    xcom = load(campaign, rows=ROWS)

    assert (xcom["outcome"], xcom["added"]) == ("dry_run", 20)
    assert {request.method for request in sandbox.requests} == {"GET"}


@pytest.mark.apis("classic")  # on v1, one call adds them all
def test_a_load_longer_than_its_budget_is_deferred_and_goes_on(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(extra={"writes_per_minute": 7, "pacing_url": f"file://{tmp_path}/pace.sqlite"})
    sandbox.add_person(campaign.id, ROWS[-1])
    operator = AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, defer_after=5)

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})

    assert len(sandbox.people()) == 8
    assert deferred.value.kwargs["done_before"]["added"] == 7
    connection(extra={"writes_per_minute": 0})  # a minute later
    again = AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, defer_after=5)
    xcom = again.resume({}, None, **deferred.value.kwargs)
    assert (xcom["rows"], xcom["added"], xcom["there"]) == (20, 19, 1)
    assert len(sandbox.people()) == 20


@pytest.mark.apis("v1")
def test_a_load_waits_for_an_import_without_a_worker_slot(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(extra={"pacing_url": f"file://{tmp_path}/pace.sqlite"})
    sandbox.v1 = V1Rules(import_delay=50)

    def new() -> AddProspectsOperator:
        return AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, defer_after=2, settle=100)

    context = {"ti": SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)}
    with pytest.raises(TaskDeferred) as deferred:
        new().execute(context)
    sandbox.advance(50)
    xcom = new().resume(context, None, **deferred.value.kwargs)

    assert (xcom["rows"], xcom["added"] + xcom["there"]) == (20, 20)
    assert [request.method for request in sandbox.requests].count("POST") == 1
    assert len(sandbox.started) == 20


@pytest.mark.apis("classic")  # on v1, one call adds them all
def test_waiting_for_its_own_budget_is_no_reason_to_give_up(
    campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(extra={"writes_per_minute": 1, "pacing_url": f"file://{tmp_path}/pace.sqlite"})
    operator = AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, defer_after=5, max_wait=10)

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})

    assert deferred.value.kwargs["waited"] == 0


def test_mapped_loads_with_the_same_people_add_nobody_twice(
    sandbox: Sandbox, campaign: CampaignUnderTest, run_dag: Callable[..., Any], dag: Any, tmp_path: Path
) -> None:
    with dag:

        @task
        def files() -> list[str]:
            paths = []
            for number in range(3):
                path = tmp_path / f"region-{number}.jsonl"
                path.write_text("\n".join(json.dumps(row) for row in ROWS[number : number + 10]))
                paths.append(f"file://{path}")
            return paths

        AddProspectsOperator.partial(task_id="load", campaign_id=campaign.id).expand(rows_path=files())

    assert run_dag(dag).state == "success"
    assert sorted(person.email for person in sandbox.people()) == sorted(row["Email"] for row in ROWS[:12])


def test_people_in_rows_are_not_among_the_rendered_arguments(
    campaign: CampaignUnderTest, run_dag: Callable[..., Any], dag: Any
) -> None:
    with dag:
        AddProspectsOperator(task_id="load", campaign_id=campaign.id, rows=ROWS)

    run = run_dag(dag)

    assert run.state == "success"
    with closing(sqlite3.connect(f"{os.environ['AIRFLOW_HOME']}/airflow.db")) as database:
        rendered = database.execute(
            "SELECT rendered_fields FROM rendered_task_instance_fields WHERE run_id = ?", (run.run_id,)
        ).fetchall()
    assert "<20 rows>" in str(rendered)
    assert "@example.com" not in str(rendered)


def test_a_load_that_was_deferred_after_429s_goes_on_and_reads_the_campaign_again(
    api: Api,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    run_dag: Callable[..., Any],
    dag: Any,
    connection: Callable[..., None],
) -> None:
    connection(extra={"max_attempts": 1})
    api.fault("prospect-add", "slow", seconds=0.0, times=5)
    api.fault("prospect-add", "429", retry_after=1, times=8)
    with dag:
        AddProspectsOperator(task_id="load", campaign_id=campaign.id, rows=ROWS)

    run = run_dag(dag)

    assert run.state == "success"
    (task_run,) = run.get_task_instances()
    assert task_run.try_number == 1
    assert sorted(person.email for person in sandbox.people()) == sorted(row["Email"] for row in ROWS)
    reads = [request.path for request in sandbox.requests if campaign.id in request.path]
    assert len(reads) >= 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_unsubscribes": 50}, "max_unsubscribes is out of bounds: pass a number from 0 to 1"),
        ({"max_unsubscribes": "0.5"}, "max_unsubscribes is a str"),
        ({"max_adds": "10%"}, "max_adds is neither a whole number, such as 1000, nor a share"),
        ({"max_updates": True}, "max_updates is neither a whole number"),
        ({"max_adds": "0"}, "The load would add 1 people, more than max_adds=0 allows"),
        ({"max_rejected": "10"}, "max_rejected"),
        ({"max_rejected": -1}, "max_rejected"),
        ({"max_in_flight": "8"}, "max_in_flight"),
        ({"defer_after": "60"}, "defer_after is a str"),
        (
            {"rejected_path": "file:///nowhere/suppressed.txt", "suppression_path": "file:///nowhere/suppressed.txt"},
            "rejected_path is suppression_path",
        ),
        ({"rejected_path": "file:///proc/nobody/rejected.jsonl"}, "rejected_path 'file:///proc/nobody/rejected.jsonl'"),
        ({"rejected_path": "foo://x/rejected.jsonl"}, "a storage needs its Airflow provider"),
        ({"rows": None, "rows_path": "foo://x/rows.csv"}, "rows_path 'foo://x/rows.csv' cannot be used"),
        ({"rows": {"Email": "ana@example.com"}}, "rows is a dict"),
    ],
)  # fmt: skip
def test_a_wrong_argument_ends_the_task_before_anybody_is_sent(
    given: dict[str, Any], says: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    rows = [{"Email": "ana@example.com"}, {"Email": "no address"}]
    arguments = {"mode": "mirror", "rows": rows, **given}

    with pytest.raises(AirflowFailException) as failed:
        AddProspectsOperator(task_id="t", campaign_id=campaign.id, **arguments).execute({})

    assert says in str(failed.value)
    assert sandbox.people() == []


def test_a_passing_error_of_the_storage_uses_the_tasks_retries(
    campaign: CampaignUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError

    monkeypatch.setattr(ObjectStoragePath, "open", broken)

    with pytest.raises(ConnectionResetError):
        AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows_path="file:///people.csv").execute({})


def test_refused_rows_of_an_earlier_run_are_removed(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    refused = tmp_path / "refused.jsonl"
    refused.write_text('{"row": 1}\n')

    xcom = AddProspectsOperator(
        task_id="t", campaign_id=campaign.id, rows=[{"Email": "ana@example.com"}], rejected_path=f"file://{refused}"
    ).execute({})

    assert xcom["rejected_path"] is None
    assert refused.read_text() == ""


def test_a_guard_that_stops_a_load_speaks_of_no_refused_rows(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    for name in ("ana", "ben"):
        sandbox.add_person(campaign.id, {"Email": f"{name}@example.com"})

    with pytest.raises(AirflowFailException) as failed:
        AddProspectsOperator(
            task_id="t", campaign_id=campaign.id, rows=[{"Email": "ana@example.com"}], mode="mirror"
        ).execute({})

    assert "rejected_path" not in str(failed.value)
