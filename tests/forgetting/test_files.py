"""What forgetting leaves in files: no address, the same counts, and everybody else as they were, byte by byte."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from pyarrow.parquet import read_table

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.v1 import Prospects
from airflow_provider_salesblink.forgetting.file_kinds import EVENTS, KINDS
from airflow_provider_salesblink.forgetting.files import ChangedMeanwhileError, FileForgetting, Place
from airflow_provider_salesblink.forgetting.person import Person
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.operators.prospects import (
    AddProspectsOperator,
    ForgetPersonOperator,
    ListProspectsOperator,
    SearchProspectOperator,
)
from airflow_provider_salesblink.operators.results import ExtractEventsOperator
from airflow_provider_salesblink.operators.team import ListMembersOperator
from airflow_provider_salesblink.results.events import EventRows
from airflow_provider_salesblink.results.feed_reader import FeedReader
from airflow_provider_salesblink.results.feed_record import key_fingerprint
from airflow_provider_salesblink.results.folder import Folder
from airflow_provider_salesblink.results.forgotten import ForgottenMeanwhileError, ForgottenPeople
from airflow_provider_salesblink.results.snapshot_store import SnapshotStore
from airflow_provider_salesblink.results.snapshots import People
from tests.forgetting.search import found_in
from tests.results.extracting import digests, ids, ms, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = [pytest.mark.apis("v1"), pytest.mark.usefixtures("connection")]

ANA, BO = "Ana.Lund@example.com", "bo@example.com"
NOW = datetime.now(UTC)
LEADS = [
    {"Email": ANA, "First Name": "Ana"},
    {"Email": BO, "First Name": "Bo", "Referrer": "by ana.lund@EXAMPLE.com, see https://a.example/?u=ana.lund%40example.com"},
    {"Email": "ana.lund@@example.com"},
    {"Email": "Ana.Lund@example.com, bo@example.com"},
    {"Email": f"{ANA}\n", "First Name": ["Ana"]},
]  # fmt: skip


def run(kind: type, **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = kind(task_id="t", **options).execute({})
    return result


def forget(*paths: Any, email: str = ANA.lower(), **options: Any) -> dict[str, Any]:
    return run(ForgetPersonOperator, email=email, paths=[*paths], **options)


def extract(folder: Path | str, **options: Any) -> dict[str, Any]:
    return run(ExtractEventsOperator, output_path=f"{folder}", **{"feeds": ["sent", "replies"], **options})


def add_events(sandbox: Sandbox, lead_id: str | None = None) -> None:
    for number, email in enumerate((ANA, BO, ANA, "cy@example.com")):
        at = ms(NOW - timedelta(hours=5 + number))
        details = {"email": email, "sequence_id": "s1", "time_ms": at, "arrives_ms": 0}
        sandbox.add_event("Sent", **details, lead_id=lead_id if email == ANA else None)
    sandbox.add_event("Replied", email=ANA, sequence_id="s1", time_ms=ms(NOW - timedelta(hours=2)), arrives_ms=0)


@pytest.fixture
def fresh(sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> Path:
    """Return a folder with a file of each kind that this provider writes about what is in the sandbox."""
    out = tmp_path / "out"
    out.mkdir()
    run(
        AddProspectsOperator, campaign_id=campaign.id, rows=LEADS, max_rejected=9, settle=1,
        rejected_path=out / "rejected.jsonl", outcomes_path=out / "outcomes.jsonl",
    )  # fmt: skip
    sandbox.finish_imports()
    listing = {"campaign_id": campaign.id}
    run(ListProspectsOperator, **listing, output_path=out / "list.txt")
    for form in ("jsonl", "parquet"):
        run(ListProspectsOperator, **listing, output_path=out / f"snapshot.{form}", file_format=form)
    for form in ("jsonl", "parquet"):
        run(
            ListProspectsOperator, **listing, output_path=out / form / f"changes.data.{form}",
            file_format=form, changes_only=True,
        )  # fmt: skip
    run(SearchProspectOperator, email=ANA, output_path=out / "search.jsonl")
    run(ListMembersOperator, output_path=out / "members.jsonl")
    add_events(sandbox)
    for people in ("address", "hash"):
        for form in ("jsonl", "parquet"):
            extract(out / "events" / people / form, people=people, file_format=form, bodies=people == "address")
    return out


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "out"


@pytest.fixture
def written(request: pytest.FixtureRequest, kept: Path, tmp_path: Path) -> Path:
    """Return a folder with a file of each kind. It is written once, so the sandbox may be empty."""
    if not kept.exists():
        shutil.copytree(request.getfixturevalue("fresh"), kept)
        shutil.rmtree(tmp_path / "out")
    return Path(shutil.copytree(kept, tmp_path / "out"))


def test_no_file_names_a_person_who_was_forgotten(written: Path) -> None:
    assert len(found_in(written, ANA)) >= 12
    others = found_in(written, BO)

    result = forget(written)

    assert found_in(written, ANA) == []
    assert found_in(written, BO) == others
    assert result["files"] >= 18
    assert result["files_left"] == 0
    assert len(KINDS) == 7, "write a file of the new kind in these tests, too"


def test_no_hash_of_a_person_stays_in_the_rows(written: Path, client: SalesBlinkClient) -> None:
    hashed = client.address_hash(ANA).encode()
    before = [path for path in written.rglob("*.jsonl") if hashed in path.read_bytes()]
    assert before

    forget(written)

    for path in written.rglob("*"):
        if path.is_file() and path.name != "_forgotten.json":
            assert hashed not in path.read_bytes(), path


def test_events_are_counted_as_before_and_nothing_of_the_person_is_left_in_them(written: Path) -> None:
    folder = written / "events" / "address" / "parquet"
    before = rows(folder)

    forget(written)

    after = rows(folder)
    assert [(row["id"], row["time"], row["sequence_id"]) for row in after] == [
        (row["id"], row["time"], row["sequence_id"]) for row in before
    ]
    changed = [(row, new) for row, new in zip(before, after, strict=True) if row != new]
    assert len(changed) == 3
    assert all(row["email"] == ANA for row, _ in changed)
    assert {(new["email"], new["lead_id"], new["body"], new["link"], new["extra"]) for _, new in changed} == {
        (None, None, None, None, "{}")
    }
    # One person still, of another name in all feeds, files and formats.
    stand_ins = {new["person"] for _, new in changed}
    assert len(stand_ins) == 1
    assert (
        len({row["person"] for row in rows(written / "events") + rows_of(written / "outcomes.jsonl")} & stand_ins) == 1
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_outcomes_stay_and_refused_rows_of_the_person_go(written: Path) -> None:
    words = [row["outcome"] for row in rows_of(written / "outcomes.jsonl")]
    assert [row["row"] for row in rows_of(written / "rejected.jsonl")] == [3, 4, 5]

    forget(written)

    outcomes = rows_of(written / "outcomes.jsonl")
    assert [row["outcome"] for row in outcomes] == words
    assert outcomes[0]["prospect_id"] is None
    assert len(bytes.fromhex(outcomes[0]["person"])) == 32
    # Row 4 names somebody else too, whose row would be lost.
    rejected = rows_of(written / "rejected.jsonl")
    assert [row["columns"]["Email"] for row in rejected] == ["ana.lund@@example.com", f"<address>, {BO}"]


def test_of_somebody_else_only_the_mention_goes(written: Path) -> None:
    forget(written)

    (bo,) = rows_of(written / "snapshot.jsonl")
    assert bo["email"] == BO
    assert bo["fields"]["referrer"] == "by <address>, see https://a.example/?u=<address>"
    (in_parquet,) = read_table(written / "snapshot.parquet").to_pylist()
    assert {**in_parquet, "fields": json.loads(in_parquet["fields"])} == bo


def test_a_file_that_does_not_name_the_person_is_not_touched(written: Path) -> None:
    before = digests(written)

    result = forget(written, email="nobody@example.com")

    assert digests(written) == before
    assert (result["files"], result["rows"]) == (0, 0)


def test_types_and_description_of_a_parquet_file_stay(written: Path) -> None:
    path = written / "snapshot.parquet"
    table = read_table(path)
    from pyarrow.parquet import ParquetFile, write_table

    described = table.replace_schema_metadata({"owner": "sales", "pandas": "{}"})
    write_table(described, path, compression="gzip", row_group_size=1)

    forget(written)

    assert ParquetFile(path).schema_arrow.equals(described.schema, check_metadata=True)
    assert ParquetFile(path).metadata.row_group(0).column(0).compression == "GZIP"


def test_a_second_run_touches_nothing(written: Path) -> None:
    forget(written)
    before = digests(written)

    assert forget(written)["rows"] == 0
    assert digests(written) == before


def test_files_of_others_stay_as_they_are_and_are_reported(written: Path, tmp_path: Path) -> None:
    source = written / "leads.csv"
    source.write_text(f"Email,First Name\n{ANA},Ana\n")
    (written / "own.jsonl").write_text(json.dumps({"Email": ANA}) + "\n")
    receipt = tmp_path / "receipt.json"

    result = forget(written, receipt_path=receipt)

    assert found_in(written, ANA) == ["leads.csv", "own.jsonl"]
    assert result["files_left"] == 2
    assert json.loads(receipt.read_text())["files_left"] == [str(source), str(written / "own.jsonl")]


def test_a_damaged_file_fails_the_task_after_all_others_are_done(written: Path) -> None:
    (written / "torn.parquet").write_bytes(b"PAR1 and nothing else")

    with pytest.raises(AirflowFailException, match=r"files: .*torn\.parquet"):
        forget(written)

    (written / "torn.parquet").unlink()
    assert found_in(written, ANA) == []


def test_hashes_of_another_key_are_not_passed_over(
    connection: Callable[..., None], written: Path, tmp_path: Path
) -> None:
    connection(extra={"hash_key": "another"})

    with pytest.raises(AirflowFailException, match=r"hash/jsonl/sent \(its hashes are of another hash_key"):
        forget(written, receipt_path=tmp_path / "receipt.json")

    assert found_in(written, ANA) == []


def test_half_a_line_of_a_killed_task_is_redacted(tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    reject = json.dumps({"row": 1, "reason": "it", "columns": {"Email": BO}})
    path.write_text(f'{reject}\n{{"row": 2, "reason": "it", "columns": {{"Email": "{ANA}", "Fir')

    own = tmp_path / "_chapter.part"
    own.write_text("not of this provider")

    forget(tmp_path)

    assert own.exists()
    assert found_in(tmp_path, ANA) == []
    assert path.read_text().startswith(f"{reject}\n")


def test_a_file_that_another_task_is_writing_loses_no_row(tmp_path: Path) -> None:
    # As a load writes its outcomes and refused rows: next to the old file, and then in its place.
    path = tmp_path / ".rejected.jsonl.k3_9xyz0"
    path.write_text(json.dumps({"row": 1, "reason": "it", "columns": {"Email": ANA}}) + "\n")
    with path.open("a") as file:
        with pytest.raises(AirflowFailException, match="another task is writing it"):
            forget(tmp_path)
        file.write("the second row\n")
    assert len(path.read_text().splitlines()) == 2

    two_hours_ago = time.time() - 7200
    os.utime(path, (two_hours_ago, two_hours_ago))
    forget(tmp_path)
    assert found_in(tmp_path, ANA) == []


# Later runs


def test_a_later_extraction_brings_nobody_back_and_writes_no_event_twice(sandbox: Sandbox, fresh: Path) -> None:
    folder = fresh / "events" / "address" / "jsonl"
    forget(fresh)
    before = rows(folder)
    sandbox.add_event("Replied", email=ANA, sequence_id="s1", time_ms=ms(NOW - timedelta(hours=1)), arrives_ms=0)
    sandbox.add_event("Replied", email=BO, sequence_id="s1", time_ms=ms(NOW - timedelta(hours=1)), arrives_ms=0)

    # From the beginning: the cursor would leave out most.
    result = extract(folder, people="address", bodies=True, since="2020-01-01", until=NOW.isoformat())

    assert result["new"] == 2
    assert found_in(fresh, ANA) == []
    assert len(ids(folder)) == len(set(ids(folder))) == len(before) + 2
    assert sorted(str(row["email"]) for row in rows(folder) if row not in before) == ["None", BO]


def test_an_event_whose_id_has_the_address_is_known_again(client: SalesBlinkClient) -> None:
    event = {"id": f"sent-{ANA}-1", "email": ANA, "time": NOW, "subject": "Hi Ana"}
    before = EventRows(client.addresses, "address").row("sent", event)
    forgotten = ForgottenPeople(client.addresses, {client.address_hash(ANA): None})

    in_file = Person(ANA, client.addresses, (), "stand-in").forgotten(before, EVENTS)
    later = EventRows(client.addresses, "address", forgotten=forgotten).row("sent", event)

    assert in_file == {**later, "person": "stand-in"}
    assert ANA not in str(later)


@pytest.mark.parametrize("people", ["hash", "none"])
def test_rows_without_addresses_are_known_by_hash_or_by_id(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path, people: str
) -> None:
    from airflow_provider_salesblink.sandbox import V1Rules

    sandbox.v1 = V1Rules(feed_lead="lead_id")
    ana = sandbox.add_person(campaign.id, {"Email": ANA})
    add_events(sandbox, ana)
    extract(tmp_path, people=people)
    assert sum(row["lead_id"] == ana for row in rows(tmp_path)) == 2

    forget(tmp_path)

    assert sum(row["lead_id"] == ana for row in rows(tmp_path)) == 0
    assert len(rows(tmp_path)) == 5


@pytest.mark.apis("classic", "v1")
def test_a_later_snapshot_brings_nobody_back(sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> None:
    # On the classic API, the person stays in the campaign.
    for email in (ANA, BO):
        sandbox.add_person(campaign.id, {"Email": email})
    people = tmp_path / "people"

    def look(name: str, **options: Any) -> list[dict[str, Any]]:
        path = f"{people}/{{{{ name }}}}/now.jsonl"
        task = ListProspectsOperator(task_id="t", campaign_id=campaign.id, output_path=path, **options)
        task.render_template_fields({"name": name})
        task.execute({})
        return rows_of(people / name / "now.jsonl")

    look("first", changes_only=True)
    assert len(found_in(people, ANA)) == 2

    forget(people)

    assert look("second", changes_only=True) == []
    assert [row["email"] for row in look("third", file_format="jsonl")] == [BO]
    assert [row["email"] for row in look("fourth")] == [BO]
    assert found_in(people, ANA) == []


def test_a_new_folder_below_one_where_somebody_was_forgotten_brings_nobody_back(sandbox: Sandbox, fresh: Path) -> None:
    campaign_id = json.loads((fresh / "snapshot.jsonl").read_text().splitlines()[0])["campaign_id"]
    ana = sandbox.add_person(campaign_id, {"Email": ANA})
    _forget_now(SalesBlinkHook("salesblink_default").get_conn(), fresh)
    add_events(sandbox, ana)

    # The whole path comes from a template, so no part of it is known to be the same each day.
    days = fresh / "new" / "2026-01-01"
    run(ListProspectsOperator, campaign_id=campaign_id, output_path=days / "people.jsonl", file_format="jsonl")
    extract(days / "events", people="address")

    assert [row["email"] for row in rows_of(days / "people.jsonl")] == [BO]
    assert len(rows(days / "events")) > 4
    assert found_in(days / "events", ANA) == []


def _forget_now(client: SalesBlinkClient, folder: Path) -> None:
    FileForgetting([Place(fsspec.filesystem("file"), str(folder))], ANA, client.addresses, ()).run()


def test_an_extraction_that_read_before_somebody_was_forgotten_writes_nothing(
    client: SalesBlinkClient, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fresh / "events" / "address" / "jsonl"
    shutil.rmtree(folder / "sent")
    real = FeedReader.read

    def read(self: FeedReader, *arguments: Any) -> int:
        found = real(self, *arguments)
        _forget_now(client, folder)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FeedReader, "read", read)
        with pytest.raises(ForgottenMeanwhileError):
            extract(folder, people="address", feeds=["sent"])
    assert found_in(folder, ANA) == []

    assert extract(folder, people="address", feeds=["sent"])["new"] == 4
    assert found_in(folder, ANA) == []


def test_a_snapshot_that_read_before_somebody_was_forgotten_is_not_written(
    client: SalesBlinkClient, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = json.loads((fresh / "snapshot.jsonl").read_text().splitlines()[0])["campaign_id"]
    real = Prospects.each

    def each(self: Prospects, *arguments: Any) -> Iterator[Any]:
        yield from real(self, *arguments)
        _forget_now(client, fresh)

    monkeypatch.setattr(Prospects, "each", each)
    with pytest.raises(ForgottenMeanwhileError):
        run(ListProspectsOperator, campaign_id=campaign_id, output_path=fresh / "snapshot.jsonl", file_format="jsonl")
    assert found_in(fresh, ANA) == []


@pytest.mark.parametrize("changes_only", [False, True])
def test_a_snapshot_during_which_somebody_was_forgotten_is_not_written(
    client: SalesBlinkClient, fresh: Path, monkeypatch: pytest.MonkeyPatch, changes_only: bool
) -> None:
    campaign_id = json.loads((fresh / "snapshot.jsonl").read_text().splitlines()[0])["campaign_id"]
    # The last snapshot was read, or everybody was and the rows are being written.
    kind, name = (SnapshotStore, "rows") if changes_only else (People, "rows")
    real = getattr(kind, name)

    def rows_then_forget(self: Any) -> Iterator[Any]:
        yield from real(self)
        _forget_now(client, fresh)

    monkeypatch.setattr(kind, name, rows_then_forget)
    with pytest.raises(ForgottenMeanwhileError):
        run(
            ListProspectsOperator, campaign_id=campaign_id, output_path=fresh / "jsonl" / "changes.more.jsonl",
            file_format="jsonl", changes_only=changes_only,
        )  # fmt: skip
    assert found_in(fresh, ANA) == []


def test_another_hash_key_is_an_error_because_nobody_would_be_recognized(
    connection: Callable[..., None], fresh: Path
) -> None:
    forget(fresh)
    connection(extra={"hash_key": "another"})

    with pytest.raises(AirflowFailException, match="written with another hash_key"):
        run(
            ListProspectsOperator, campaign_id=json.loads((fresh / "snapshot.jsonl").read_text())["campaign_id"],
            output_path=fresh / "new.jsonl",
        )  # fmt: skip


# Storages and interruptions


@pytest.fixture
def memory() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    filesystem.rm("/", recursive=True) if filesystem.ls("/") else None
    yield filesystem
    filesystem.rm("/", recursive=True) if filesystem.ls("/") else None


def test_files_on_an_object_storage(written: Path, client: SalesBlinkClient, memory: Any, tmp_path: Path) -> None:
    memory.put(str(written), "/lake", recursive=True)

    changes = FileForgetting([Place(memory, "/lake")], ANA, client.addresses, ()).run()

    memory.get("/lake", str(tmp_path / "back"), recursive=True)
    assert len(changes.rows) >= 18
    assert found_in(tmp_path / "back", ANA) == []
    assert not [path for path in memory.find("/lake") if path.endswith(".new")]


class Busy:
    """A storage where another task does something right after this one opened or copied a file."""

    def __init__(self, filesystem: Any, name: str, then: Callable[[], None], times: int = 1) -> None:
        self._filesystem = filesystem
        self._name = name
        self._then = then
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._filesystem, name)

    def open(self, path: str, *options: Any) -> Any:
        opened = self._filesystem.open(path, *options)
        self._meanwhile(path)
        return opened

    def cp_file(self, path: str, target: str) -> None:
        self._filesystem.cp_file(path, target)
        self._meanwhile(target)

    def _meanwhile(self, path: str) -> None:
        if path.endswith(self._name) and self._times:
            self._times -= 1
            self._then()


def test_a_file_that_another_task_writes_meanwhile_is_not_missed(
    written: Path, client: SalesBlinkClient, tmp_path: Path
) -> None:
    # While the files are listed, nobody knows yet that the person is to be forgotten.
    (written / "leads.csv").write_text("Email")
    folder = written / "z" / "2026-01-01"
    folder.mkdir(parents=True)
    new = folder / "snapshot.jsonl"
    shutil.move(written / "snapshot.jsonl", tmp_path / "snapshot.jsonl")
    storage = Busy(
        fsspec.filesystem("file"), "leads.csv", lambda: shutil.copy(tmp_path / "snapshot.jsonl", new) and None
    )

    FileForgetting([Place(storage, str(written))], ANA, client.addresses, ()).run()

    assert new.exists()
    assert found_in(written, ANA) == []
    assert (folder / "_forgotten.json").exists()


@pytest.mark.parametrize("times", [1, 99])
def test_where_there_are_no_locks_nobody_comes_back_with_what_another_task_had_read(
    written: Path, client: SalesBlinkClient, memory: Any, times: int, tmp_path: Path
) -> None:
    path = "/lake/outcomes.jsonl"
    memory.put(str(written), "/lake", recursive=True)
    before, others = memory.cat(path), memory.cat("/lake/rejected.jsonl")
    storage = Busy(memory, "outcomes.jsonl", lambda: memory.pipe(path, before), times)
    forgetting = FileForgetting([Place(storage, "/lake")], ANA, client.addresses, ())

    if times == 1:
        forgetting.run()
        memory.get("/lake", str(tmp_path / "back"), recursive=True)
        assert client.address_hash(ANA).encode() not in memory.cat(path)
        assert found_in(tmp_path / "back", ANA) == []
    else:
        with pytest.raises(ChangedMeanwhileError, match="max_active_tis_per_dag=1"):
            forgetting.run()
    assert memory.cat("/lake/rejected.jsonl") != others


def test_a_list_that_another_task_overwrites_is_noticed(written: Path, client: SalesBlinkClient, memory: Any) -> None:
    memory.put(str(written), "/lake", recursive=True)
    path = "/lake/_forgotten.json"
    nobody = json.dumps({"version": 1, "key": key_fingerprint(client.addresses), "people": {}}).encode()
    storage = Busy(memory, path, lambda: memory.pipe(path, nobody), 99)

    with pytest.raises(ChangedMeanwhileError):
        FileForgetting([Place(storage, "/lake")], ANA, client.addresses, ()).run()


class _KilledError(BaseException):
    """Ends a run at once, as a kill does."""


@pytest.mark.parametrize("survives", [0, 1, 5, 12])
def test_a_run_that_is_killed_goes_on_with_the_same_stand_in(
    written: Path, client: SalesBlinkClient, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    replaced: list[str] = []
    real = Folder.replace

    def replace(self: Folder, name: str, write: Any) -> None:
        if name == "_forgotten.json" or len(replaced) < survives:
            real(self, name, write)
            replaced.append(name) if name != "_forgotten.json" else None
        else:
            # Half of the file was written next to it.
            Path(f"{self}/_{name}.{'0' * 32}.part").write_text(ANA)
            raise _KilledError

    def forgetting() -> FileForgetting:
        return FileForgetting([Place(fsspec.filesystem("file"), str(written))], ANA, client.addresses, ())

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "replace", replace)
        with pytest.raises(_KilledError):
            forgetting().run()
    again = forgetting()
    again.run()

    assert found_in(written, ANA) == []
    known = {row["person"] for row in rows(written / "events")}
    assert len(known) == 3
    # Nothing leads from the person to the rows any more.
    lists = [json.loads(path.read_text())["people"] for path in written.rglob("_forgotten.json")]
    assert lists
    assert all(people == {client.address_hash(ANA): None} for people in lists)


def test_a_list_of_forgotten_people_that_is_damaged_is_an_error(written: Path, client: SalesBlinkClient) -> None:
    (written / "_forgotten.json").write_text("{")

    with pytest.raises(InvalidInputError, match="cannot be read"):
        FileForgetting([Place(fsspec.filesystem("file"), str(written))], ANA, client.addresses, ()).run()
