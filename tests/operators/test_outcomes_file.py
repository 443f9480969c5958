"""The file with an outcome for every row."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, TaskDeferred
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.operators import files
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.io.store import attach

pytestmark = pytest.mark.apis(*BOTH)

ROWS = [{"Email": f"p{number}@example.com"} for number in range(12)]
COUNTS = ("added", "updated", "there", "opted_out", "repeats", "rejected", "taken_by_others", "missing")


def operator(campaign: CampaignUnderTest, path: Path | str, **options: Any) -> AddProspectsOperator:
    return AddProspectsOperator(
        task_id="t", campaign_id=campaign.id, **{"rows": ROWS, "outcomes_path": f"file://{path}", **options}
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def counts(path: Path) -> dict[str, int]:
    return dict(Counter(line["outcome"] for line in lines(path)))


def in_xcom(xcom: dict[str, Any]) -> dict[str, int]:
    return {word: xcom[word] for word in COUNTS if xcom[word]}


def test_the_file_has_a_line_for_each_row_and_the_counts_of_xcom(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(extra={"hash_key": "of this test"})
    sandbox.add_person(campaign.id, ROWS[0])
    path = tmp_path / "new" / "outcomes.jsonl"

    xcom = operator(campaign, path, rows=[*ROWS, ROWS[3], {"Email": "nobody"}], max_rejected=1).execute({})

    assert counts(path) == in_xcom(xcom) == {"added": 11, "there": 1, "repeats": 1, "rejected": 1}
    assert [line["row"] for line in lines(path)] == list(range(1, 15))
    assert xcom["outcomes_path"] == f"file://{path}"
    for empty in (None, ""):
        with pytest.raises(InvalidInputError, match="email is empty, so there is no address to hash"):
            SalesBlinkHook().address_hash(empty)
    assert lines(path)[5]["person"] == SalesBlinkHook().address_hash("P5@Example.com")
    assert "example" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_same_address_has_the_same_hash_as_long_as_the_key_is_the_same(
    campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    found = []
    for number, extra in enumerate([{}, {}, {"hash_key": "the first"}, {"hash_key": "the second"}]):
        connection(extra=extra)
        path = tmp_path / f"{number}.jsonl"
        operator(campaign, path, rows=ROWS[:1]).execute({})
        found.append(lines(path)[0]["person"])

    assert found[0] == found[1]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("other", "lost"), [("rows_path", "rows"), ("suppression_path", "list"), ("rejected_path", "refused rows")]
)
def test_the_outcomes_do_not_overwrite_another_file(
    other: str, lost: str, campaign: CampaignUnderTest, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    path = tmp_path / "people.jsonl"
    path.write_text(json.dumps(ROWS[0]))
    given = {"rows": None, "rows_path": str(path)} if other == "rows_path" else {other: f"file://{path}"}

    with pytest.raises(AirflowFailException, match=f"outcomes_path is {other}: the {lost} would be overwritten"):
        operator(campaign, tmp_path / "x" / ".." / "people.jsonl", **given).execute({})

    assert other == "rejected_path" or path.read_text() == json.dumps(ROWS[0])
    assert not sandbox.people()


@pytest.mark.parametrize(
    ("path", "says"), [("file:///proc/nobody/o.jsonl", "cannot be used"), ("None", "its template found nothing")]
)
def test_a_path_that_cannot_be_written_ends_the_task_before_anybody_is_sent(
    path: str, says: str, campaign: CampaignUnderTest, sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match=f"outcomes_path '{path}'|outcomes_path is '{path}'") as failed:
        AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, outcomes_path=path).execute({})

    assert says in str(failed.value)
    assert not sandbox.people()


def test_a_failed_load_leaves_the_file_and_logs_the_same_counts(
    campaign: CampaignUnderTest, sandbox: Sandbox, tmp_path: Path, task_log: Callable[[], list[str]]
) -> None:
    for number in range(4):
        sandbox.add_person(campaign.id, {"Email": f"gone{number}@example.com"})
    path = tmp_path / "outcomes.jsonl"

    with pytest.raises(AirflowFailException, match="The mirror would unsubscribe"):
        operator(campaign, path, mode="mirror").execute({})

    assert counts(path) == {"not_sent": 12}
    assert "Counts when the load failed: rows 12, not_sent 12." in task_log()


@pytest.mark.apis("classic")
def test_a_deferred_load_accounts_for_the_whole_load(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "outcomes.jsonl"
    connection(extra={"writes_per_minute": 5, "pacing_url": f"file://{tmp_path}/pace.sqlite"})
    sandbox.add_person(campaign.id, ROWS[-1])

    with pytest.raises(TaskDeferred) as deferred:
        operator(campaign, path, defer_after=5).execute({})

    assert counts(path) == {"added": 5, "not_sent": 6, "there": 1}
    first = [(line["row"], line["time"]) for line in lines(path) if line["outcome"] == "added"]
    with pytest.raises(AirflowFailException):
        operator(campaign, path, salesblink_conn_id="gone").resume({}, None, **deferred.value.kwargs)
    connection(extra={"writes_per_minute": 0})  # a minute later
    xcom = operator(campaign, path, defer_after=5).resume({}, None, **deferred.value.kwargs)
    assert counts(path) == in_xcom(xcom) == {"added": 11, "there": 1}
    assert set(first) < {(line["row"], line["time"]) for line in lines(path)}


@pytest.mark.apis("classic")
def test_a_deferred_load_whose_file_is_lost_still_agrees_with_it(
    campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outcomes.jsonl"
    connection(extra={"writes_per_minute": 5, "pacing_url": f"file://{tmp_path}/pace.sqlite"})
    with pytest.raises(TaskDeferred) as deferred:
        operator(campaign, path, defer_after=5).execute({})
    path.unlink()
    connection(extra={"writes_per_minute": 0})

    xcom = operator(campaign, path, defer_after=5).resume({}, None, **deferred.value.kwargs)

    assert counts(path) == in_xcom(xcom) == {"added": 7, "there": 5}
    assert "cannot be read (FileNotFoundError)" in caplog.text


@pytest.mark.apis("classic")
@pytest.mark.parametrize("with_outcomes", [True, False])
def test_the_counts_of_a_failed_load_are_all_rows(
    with_outcomes: bool,
    campaign: CampaignUnderTest,
    sandbox: Sandbox,
    tmp_path: Path,
    task_log: Callable[[], list[str]],
) -> None:
    sandbox.add_person(campaign.id, ROWS[0])
    rest = {} if with_outcomes else {"outcomes_path": None}

    with pytest.raises(AirflowFailException, match="max_adds"):
        operator(campaign, tmp_path / "o.jsonl", rows=[*ROWS, ROWS[0], {"Email": "x"}], max_adds=3, **rest).execute({})

    (line,) = [line for line in task_log() if "Counts when the load failed" in line]
    counted = dict(re.findall(r"(\w+(?: or in_doubt)?) (\d+)[,.]", line.partition("failed: ")[2]))
    assert counted.pop("rows") == "14"
    assert sum(map(int, counted.values())) == 14
    assert counted["not_sent" if with_outcomes else "not_sent or in_doubt"] == "11"


@pytest.mark.parametrize(
    "wrong",
    [
        {"salesblink_conn_id": "nowhere"},
        {"rows_path": "leads.csv"},
        {"rows": None},
        {"columns": "no JSON"},
        {"campaign_id": 1.5},
        {"rejected_path": "None"},
        {"suppression_path": "nowhere://list"},
        {"sql_conn_id": "warehouse"},
        {"settle": -1},
    ],
    ids=str,
)
def test_whatever_argument_is_wrong_an_earlier_runs_files_are_empty(
    wrong: dict[str, Any], campaign: CampaignUnderTest, sandbox: Sandbox, tmp_path: Path
) -> None:
    outcomes, rejected = tmp_path / "outcomes.jsonl", tmp_path / "rejected.jsonl"
    for path in (outcomes, rejected):
        path.write_text('{"row": 1}\n')
    given = {"campaign_id": campaign.id, "rows": ROWS, "rejected_path": rejected, "outcomes_path": outcomes, **wrong}

    with pytest.raises(AirflowFailException):
        AddProspectsOperator(task_id="t", **given).execute({})

    assert outcomes.read_text() == ""
    assert rejected.read_text() == "" or "rejected_path" in wrong
    assert not sandbox.people()


@pytest.mark.usefixtures("campaign")
def test_an_earlier_runs_outcomes_are_gone_when_a_run_begins(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_text('{"row": 1}\n')

    with pytest.raises(AirflowFailException, match="did not find it"):
        AddProspectsOperator(task_id="t", campaign_id="nobody", rows=ROWS, outcomes_path=str(path)).execute({})

    assert path.read_text() == ""


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_text("old\n")
    path.chmod(0o640)
    seen = []

    def half() -> Iterator[str]:
        for number in range(3):
            yield f"{number}\n" * 10_000
            seen.append(path.read_text())

    files.write_lines(str(path), half())

    assert set(seen) == {"old\n"}
    assert len(path.read_text().splitlines()) == 30_000
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_lines_that_break_off_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_text("old\n")

    with pytest.raises(ZeroDivisionError):
        files.write_lines(str(path), (str(1 // number) for number in (1, 0)))

    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_and_other_storages_work(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    (tmp_path / "target.jsonl").write_text("old\n")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "target.jsonl")
    in_memory = "memory://outcomes/today.jsonl"
    attach(protocol="memory", fs=MemoryFileSystem())

    operator(campaign, tmp_path / "link.jsonl").execute({})
    AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, outcomes_path=in_memory).execute({})

    assert (tmp_path / "link.jsonl").is_symlink()
    assert counts(tmp_path / "target.jsonl") == {"added": 12}
    read = ObjectStoragePath(in_memory).read_text().splitlines()
    assert Counter(json.loads(line)["outcome"] for line in read) == {"there": 12}
