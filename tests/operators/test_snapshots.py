"""Snapshots of a campaign in files, and what changed since the last one."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, TaskDeferred
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import parquet

from airflow_provider_salesblink.operators.prospects import ListProspectsOperator
from airflow_provider_salesblink.operators.snapshot_files import default_previous_path, fixed_folder
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.io.store import attach

pytestmark = pytest.mark.apis(*BOTH)

ANA = {"Email": "ana@example.com", "First Name": "Ana", "Company": "Northwind"}
BEN = {"Email": "ben@example.com"}
STATE = ["id", "campaign_id", "email", "unsubscribed", "status", "fields"]
CHANGE = ["change", "time", "previous_time", *STATE, "before", "after"]


def snapshot(campaign: CampaignUnderTest, path: object, context: Any = None, **options: Any) -> dict[str, Any]:
    return ListProspectsOperator(task_id="people", campaign_id=campaign.id, output_path=str(path), **options).execute(
        context or {}
    )


def changes(campaign: CampaignUnderTest, path: object, context: Any = None, **options: Any) -> dict[str, Any]:
    return snapshot(campaign, path, context, changes_only=True, **options)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(number: int) -> dict[str, Any]:
    return {"ti": SimpleNamespace(dag_id="d", run_id=f"run {number}", task_id="people", map_index=-1)}


@pytest.fixture
def storage() -> Iterator[str]:
    """Yield a folder of an object storage."""
    # Each Airflow finds the driver of a scheme in its own way.
    attach("memory", fs=MemoryFileSystem())
    yield "memory://bucket/people"
    MemoryFileSystem.store.clear()


# Everybody


def test_a_snapshot_has_a_row_for_each_person_and_xcom_only_counts(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    ids = [sandbox.add_person(campaign.id, ANA), sandbox.add_person(campaign.id, BEN, unsubscribed=True)]
    path = tmp_path / "new" / "people.jsonl"

    xcom = snapshot(campaign, f"file://{path}", file_format="jsonl")

    assert xcom == {
        "outcome": "found", "campaign_id": campaign.id, "count": 2, "unsubscribed": 1, "path": f"file://{path}",
    }  # fmt: skip
    ana, ben = rows(path)
    assert list(ana) == STATE
    assert ana == {
        "id": ids[0],
        "campaign_id": campaign.id,
        "email": "ana@example.com",
        "unsubscribed": False,
        "status": None if not api.is_v1 else ana["status"],
        "fields": ANA,
    }
    assert (ben["unsubscribed"], ben["status"]) == (True, "unsubscribed" if api.is_v1 else None)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_parquet_file_has_the_same_columns_for_any_people(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    snapshot(campaign, tmp_path / "nobody.parquet", file_format="parquet")
    sandbox.add_person(campaign.id, ANA)
    sandbox.add_person(campaign.id, BEN, unsubscribed=True)
    snapshot(campaign, tmp_path / "people.parquet", file_format="parquet")
    snapshot(campaign, tmp_path / "people.jsonl", file_format="jsonl")

    nobody, people = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("nobody", "people"))
    assert nobody.schema.equals(people.schema)
    assert [(field.name, str(field.type)) for field in people.schema] == [
        (name, "bool" if name == "unsubscribed" else "string") for name in STATE
    ]
    found = [{**row, "fields": json.loads(row["fields"])} for row in people.to_pylist()]
    assert (nobody.num_rows, found) == (0, rows(tmp_path / "people.jsonl"))


def test_without_the_new_arguments_the_file_and_xcom_are_as_ever(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    # The ending has never mattered here.
    there = sandbox.add_person(campaign.id, ANA)

    xcom = snapshot(campaign, tmp_path / "people.txt")

    assert xcom["prospect_ids"] == [there]
    assert list(rows(tmp_path / "people.txt")[0]) == ["id", "email", "campaign_id", "unsubscribed", "fields"]
    assert [path.name for path in tmp_path.iterdir()] == ["people.txt"]


# What changed


def test_the_changes_since_the_last_look_go_into_a_file_and_their_counts_into_xcom(
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    client: SalesBlinkClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ana = sandbox.add_person(campaign.id, ANA)
    first = changes(campaign, tmp_path / "1.jsonl")
    ben = sandbox.add_person(campaign.id, BEN)
    client.prospects.update(ana, {"Company": "Contoso"})

    second = changes(campaign, tmp_path / "2.jsonl")

    assert "so everybody in the campaign counts as new to it" in caplog.text
    assert caplog.text.count("There is no previous snapshot") == 1
    counts = {"outcome": "found", "campaign_id": campaign.id, "unsubscribed": 0, "left": 0}
    assert first == {
        **counts, "count": 1, "appeared": 1, "changed": 0, "path": str(tmp_path / "1.jsonl"),
        "time": first["time"], "previous_time": None,
    }  # fmt: skip
    assert second == {
        **counts, "count": 2, "appeared": 1, "changed": 1, "path": str(tmp_path / "2.jsonl"),
        "time": second["time"], "previous_time": first["time"],
    }  # fmt: skip
    found = {row["id"]: row for row in rows(tmp_path / "2.jsonl")}
    assert {each: row["change"] for each, row in found.items()} == {ana: "changed", ben: "appeared"}
    assert list(found[ana]) == CHANGE
    assert found[ana]["before"] == {"fields": {"Company": "Northwind"}}
    assert found[ana]["after"] == {"fields": {"Company": "Contoso"}}
    kept = tmp_path / f"_{campaign.id}.snapshot"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"1.jsonl", "2.jsonl", kept.name, "_lock"}
    assert "example.com" not in caplog.text + json.dumps([first, second])


def test_changes_in_parquet_are_those_in_json_lines(
    sandbox: Sandbox, campaign: CampaignUnderTest, client: SalesBlinkClient, tmp_path: Path
) -> None:
    ana = sandbox.add_person(campaign.id, ANA)
    for name in ("jsonl", "parquet"):
        changes(campaign, tmp_path / name / f"1.{name}", file_format=name)
    sandbox.add_person(campaign.id, BEN)
    client.prospects.update(ana, {"Company": "Contoso"})

    for name in ("jsonl", "parquet"):
        changes(campaign, tmp_path / name / f"2.{name}", file_format=name)

    table = parquet.read_table(tmp_path / "parquet" / "2.parquet")
    assert table.schema.names == CHANGE
    found = [
        {
            name: json.loads(cell) if name in ("fields", "before", "after") and cell else cell
            for name, cell in row.items()
        }
        for row in table.to_pylist()
    ]
    times = {"time": None, "previous_time": None}
    assert [row | times for row in found] == [row | times for row in rows(tmp_path / "jsonl" / "2.jsonl")]
    assert len(found) == 2


def test_the_last_snapshot_may_be_kept_elsewhere_than_the_changes(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    for day, person in (("24", ANA), ("25", BEN)):
        sandbox.add_person(campaign.id, person)
        changes(campaign, tmp_path / day / "people.jsonl", previous_path=str(tmp_path / "state" / "spring"))

    assert [row["email"] for row in rows(tmp_path / "25" / "people.jsonl")] == ["ben@example.com"]
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"spring", "_lock"}


def test_campaigns_share_a_folder(sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> None:
    other = SimpleNamespace(id=sandbox.add_campaign("Autumn"))
    for each in (campaign, other):
        changes(each, tmp_path / f"{each.id}-1.jsonl")
    sandbox.add_person(other.id, ANA)

    assert [changes(each, tmp_path / f"{each.id}-2.jsonl")["appeared"] for each in (campaign, other)] == [0, 1]


def test_files_are_on_any_object_storage(sandbox: Sandbox, campaign: CampaignUnderTest, storage: str) -> None:
    for number, person in enumerate((ANA, BEN)):
        sandbox.add_person(campaign.id, person)
        changes(campaign, f"{storage}/{number}.jsonl")
    snapshot(campaign, f"{storage}/all.parquet", file_format="parquet")

    (line,) = ObjectStoragePath(f"{storage}/1.jsonl").read_text().splitlines()
    assert json.loads(line)["email"] == "ben@example.com"
    assert {path.name for path in ObjectStoragePath(storage).iterdir()} == {
        "0.jsonl", "1.jsonl", "all.parquet", f"_{campaign.id}.snapshot",
    }  # fmt: skip


def test_a_run_that_is_cleared_keeps_its_file_and_another_run_writes_its_own(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    first = changes(campaign, tmp_path / "1.jsonl", run(1))
    sandbox.add_person(campaign.id, ANA)
    written = (tmp_path / "1.jsonl").read_bytes()

    assert changes(campaign, tmp_path / "1.jsonl", run(1)) == first
    assert (tmp_path / "1.jsonl").read_bytes() == written
    assert changes(campaign, tmp_path / "2.jsonl", run(2))["appeared"] == 1


def test_a_task_that_is_deferred_while_it_reads_leaves_nobody_out(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    for number in range(150):
        sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"})
    changes(campaign, tmp_path / "1.jsonl")
    connection(extra={"max_attempts": 1})
    api.fault("prospects", "429", retry_after=60)
    with pytest.raises(TaskDeferred):
        changes(campaign, tmp_path / "2.jsonl")
    assert not (tmp_path / "2.jsonl").exists()

    assert changes(campaign, tmp_path / "2.jsonl")["left"] == 0


def test_the_runs_of_a_dag_find_the_snapshot_of_the_run_before(
    sandbox: Sandbox, campaign: CampaignUnderTest, dag: Any, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    with dag:
        ListProspectsOperator(
            task_id="people",
            campaign_id=campaign.id,
            output_path=f"{tmp_path}/{{{{ run_id }}}}/people.jsonl",
            changes_only=True,
        )
    for person in (ANA, BEN):
        sandbox.add_person(campaign.id, person)
        assert run_dag(dag).state == "success"

    files = sorted(tmp_path.glob("*/people.jsonl"), key=lambda path: path.stat().st_mtime)
    assert [[row["email"] for row in rows(path)] for path in files] == [["ana@example.com"], ["ben@example.com"]]


# Bad input


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"changes_only": True}, "changes_only needs output_path, the file to write to."),
        ({"file_format": "parquet"}, "file_format needs output_path, the file to write to."),
        ({"output_path": "people.jsonl", "file_format": "parquet"}, 'rename it, or pass file_format="jsonl".'),
        ({"output_path": "people.parquet", "file_format": "jsonl"}, 'rename it, or pass file_format="parquet".'),
        ({"output_path": "people.parquet", "changes_only": True}, 'rename it, or pass file_format="parquet".'),
        ({"output_path": "people.csv", "changes_only": True}, "must end in .jsonl or .ndjson or .json for"),
        ({"output_path": "people.jsonl.gz", "file_format": "jsonl"}, "must end in .jsonl or .ndjson or .json for"),
        ({"output_path": "a.jsonl", "previous_path": "b"}, "previous_path is for changes_only=True"),
        ({"output_path": "a.jsonl", "previous_path": "x/../a.jsonl", "changes_only": True}, "would be overwritten"),
        ({"output_path": "a.jsonl", "previous_path": " ", "changes_only": True}, "previous_path is ' '"),
        ({"output_path": "a.jsonl", "previous_path": "/", "changes_only": True}, "previous_path is a folder"),
        ({"output_path": "None", "changes_only": True}, "output_path is 'None': its template found nothing"),
        ({"output_path": "/proc/nobody/a.jsonl", "changes_only": True}, "cannot be used (FileNotFoundError)"),
        ({"output_path": "nowhere://a/a.jsonl", "changes_only": True}, "a storage needs its Airflow provider"),
    ],
)
def test_bad_arguments_fail_the_task_before_anything_is_read(
    arguments: dict[str, Any],
    says: str,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(AirflowFailException) as failed:
        ListProspectsOperator(task_id="t", campaign_id=campaign.id, **arguments).execute({})

    assert says in str(failed.value)
    assert not sandbox.requests
    assert list(tmp_path.iterdir()) == []


def test_a_flag_as_text_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="changes_only is 'False'; it takes True or False"):
        ListProspectsOperator(task_id="t", campaign_id="c", changes_only="False")  # type: ignore[arg-type]


@pytest.mark.usefixtures("api")
def test_the_error_of_an_unknown_campaign_names_it(connection: Callable[..., None], tmp_path: Path) -> None:
    connection()
    people = ListProspectsOperator(
        task_id="t", campaign_id="Spring 2027", output_path=tmp_path / "p.jsonl", file_format="jsonl"
    )

    with pytest.raises(AirflowFailException, match=r"campaign_id is 'Spring 2027'.*name, pass its id"):
        people.execute({})


def test_an_unknown_format_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="file_format is 'csv'; it takes 'jsonl', 'parquet'"):
        ListProspectsOperator(task_id="t", campaign_id="c", output_path="p.csv", file_format="csv")  # type: ignore[arg-type]


def test_parquet_without_pyarrow_says_what_to_install(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(AirflowFailException, match=r"pip install 'airflow-provider-salesblink\[parquet\]'"):
        snapshot(campaign, tmp_path / "people.parquet", file_format="parquet")

    assert not sandbox.requests


def test_a_campaign_that_does_not_exist_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException):
        changes(SimpleNamespace(id="nobody"), tmp_path / "1.jsonl")  # type: ignore[arg-type]

    assert {path.name for path in tmp_path.iterdir()} == {"_lock"}


# Where the last snapshot is


@pytest.mark.parametrize(
    ("template", "kept"),
    [
        ("{folder}/{{{{ ds }}}}/people.jsonl", "_{id}.snapshot"),
        ("{folder}/people/{{{{ ds }}}}/{{{{ ts }}}}/x.jsonl", "people/_{id}.snapshot"),
        ("{folder}/people/{{{{ ds }}}}.jsonl", "people/_{id}.snapshot"),
    ],
)
def test_a_path_with_the_day_in_it_finds_the_snapshot_of_the_day_before(
    template: str, kept: str, sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    appeared = []
    for day, person in (("2026-11-25", ANA), ("2026-11-26", BEN)):
        sandbox.add_person(campaign.id, person)
        task = ListProspectsOperator(
            task_id="t", campaign_id=campaign.id, output_path=template.format(folder=tmp_path), changes_only=True
        )
        task.render_template_fields({"ds": day, "ts": day})
        appeared.append(task.execute({})["appeared"])

    assert appeared == [1, 1]
    assert (tmp_path / kept.format(id=campaign.id)).exists()


@pytest.mark.apis("classic")
@pytest.mark.parametrize(
    ("template", "folder"),
    [
        ("s3://bucket/people/x.jsonl", None),
        ("s3://bucket/people/{{ ds }}.jsonl", None),
        ("s3://bucket/people/{{ ds }}/x.jsonl", "s3://bucket/people"),
        ("s3://bucket/day={{ ds }}/x.jsonl", "s3://bucket"),
        ("s3://{{ var.value.bucket }}/people/x.jsonl", None),
        ("file:///{{ ds }}/x.jsonl", None),
        ("{{ ds }}/x.jsonl", None),
        ("x.jsonl", None),
        (None, None),
    ],
)
def test_the_folder_above_a_template_is_the_same_in_each_run(template: str | None, folder: str | None) -> None:
    assert fixed_folder(template) == folder


def test_two_tasks_do_not_share_a_snapshot_unless_they_are_asked_to(
    campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    changes(campaign, tmp_path / "1.jsonl", run(1))
    other = ListProspectsOperator(
        task_id="others", campaign_id=campaign.id, output_path=str(tmp_path / "2.jsonl"), changes_only=True
    )

    with pytest.raises(AirflowFailException, match=r"belongs to the task \w+\.people. Two tasks that share one would"):
        other.execute(run(2))  # type: ignore[arg-type]
    other.previous_path = str(tmp_path / f"_{campaign.id}.snapshot")
    assert other.execute(run(2))["appeared"] == 0  # type: ignore[arg-type]


@pytest.mark.apis("classic")
@pytest.mark.parametrize(
    ("folder", "campaign_id", "kept"),
    [
        ("s3://bucket/people", "c1", "s3://bucket/people/_c1.snapshot"),
        ("", "a/b ü", "_a%2Fb%20%C3%BC.snapshot"),
        ("x", "..", "x/_...snapshot"),
    ],
)
def test_the_last_snapshot_is_under_the_id_of_the_campaign(folder: str, campaign_id: str, kept: str) -> None:
    assert default_previous_path(folder, campaign_id) == kept


@pytest.mark.apis("classic")
def test_a_long_id_makes_no_name_that_is_too_long_for_a_file() -> None:
    one, other = (default_previous_path("x", "c" * 5000 + end) for end in "ab")

    assert one != other
    assert len(one) < 100
