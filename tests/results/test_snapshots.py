"""Snapshots of a campaign, and what changed between two: the changes, one after the other, are the last snapshot."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    InvalidInputError,
    SalesBlinkError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.results.snapshot_comparison import compare
from airflow_provider_salesblink.results.snapshot_store import OtherRunError, SnapshotStore, Target
from airflow_provider_salesblink.results.snapshots import People, row_of
from airflow_provider_salesblink.sandbox import Shapes
from tests.apis import BOTH
from tests.conftest import ROOT
from tests.results.comparing_process import DyingFiles
from tests.results.local_files import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

STEPS = [
    *(f"{where} {file}" for file in (1, 2, 3) for where in ("before", "inside", "after")),
    "after 4",
]
"""Where a run can be killed: it writes the new snapshot, the changes, and the last snapshot, and removes the first."""

State = dict[str, dict[str, Any]]


class Looks:
    """Runs that compare one campaign, each with a changes file of its own."""

    def __init__(self, client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest, folder: Path) -> None:
        self._client = client
        self._sandbox = sandbox
        self.campaign_id = campaign.id
        self.folder = folder
        self.previous = folder / "_previous.snapshot"

    def store(self, files: LocalFiles | None = None) -> SnapshotStore:
        return SnapshotStore(str(self.previous), self.campaign_id, files or LocalFiles())

    def look(self, name: str, run: str | None = None, files: LocalFiles | None = None) -> dict[str, Any]:
        target = Target(str(self.folder / name), "jsonl", run)
        read = self._client.prospects.each
        return compare(lambda: read(self.campaign_id), self.campaign_id, target, self.store(files))

    def changes(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def words(self, name: str) -> dict[str, str]:
        return {each["email"]: each["change"] for each in self.changes(name)}

    def now(self) -> State:
        """Return the people of the campaign now."""
        return {str(each["id"]): row_of(each) for each in self._client.prospects.each(self.campaign_id)}

    def replayed(self) -> State:
        """Return the people after all changes of all files, in the order of their times. Each must fit."""
        rows = [row for path in self.folder.glob("*.jsonl") for row in self.changes(path.name)]
        state: State = {}
        for row in sorted(rows, key=lambda each: each["time"]):
            known = state.pop(row["id"], None)
            assert (known is None) == (row["change"] == "appeared"), row
            if row["change"] != "left":
                state[row["id"]] = {name: row[name] for name in ("id", "campaign_id", "email", "unsubscribed")} | {
                    name: row[name] for name in ("status", "fields")
                }
            if row["change"] == "changed":
                assert known
                assert_is_part(row["before"], known)
                assert_is_part(row["after"], state[row["id"]])
                assert row["before"] != row["after"]
        return state


def assert_is_part(part: dict[str, Any], row: dict[str, Any]) -> None:
    fields = part.get("fields", {})
    assert fields.items() <= row["fields"].items()
    assert {**part, "fields": None}.items() <= {**row, "fields": None}.items()


@pytest.fixture
def looks(client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> Looks:
    return Looks(client, sandbox, campaign, tmp_path)


def add(sandbox: Sandbox, campaign_id: str, name: str, **columns: str) -> str:
    return sandbox.add_person(campaign_id, {"Email": f"{name}@example.com", **columns})


def remove(sandbox: Sandbox, lead_id: str) -> None:
    sandbox._store.leads.delete(lead_id)
    sandbox._store.run("UPDATE planned SET removed = 1 WHERE lead_id = ?", lead_id)


def prospect(**changed: Any) -> Prospect:
    known: Any = {"id": "p1", "campaign_id": "c", "email": "ana@example.com", "unsubscribed": None, "fields": {}}
    return {**known, "raw": {}, **changed}


# What changed


def test_the_first_look_has_everybody_and_the_next_ones_have_what_changed(
    api: Api, sandbox: Sandbox, looks: Looks, client: SalesBlinkClient
) -> None:
    ana, ben, cem, dan = (
        add(sandbox, looks.campaign_id, name, Company="Acme") for name in ("ana", "ben", "cem", "dan")
    )
    first = looks.look("1.jsonl")
    client.prospects.update(ana, {"Company": "Contoso", "City": "Lima"})
    client.prospects.unsubscribe(ben)
    remove(sandbox, cem)
    eve = add(sandbox, looks.campaign_id, "eve")

    second = looks.look("2.jsonl")
    third = looks.look("3.jsonl")

    assert {name: first[name] for name in ("count", "unsubscribed", "appeared", "changed", "left")} == {
        "count": 4, "unsubscribed": 0, "appeared": 4, "changed": 0, "left": 0,
    }  # fmt: skip
    assert set(looks.words("1.jsonl").values()) == {"appeared"}
    assert first["previous_time"] is None
    assert {name: second[name] for name in ("count", "unsubscribed", "appeared", "changed", "left")} == {
        "count": 4, "unsubscribed": 1, "appeared": 1, "changed": 2, "left": 1,
    }  # fmt: skip
    rows = {row["id"]: row for row in looks.changes("2.jsonl")}
    assert {found: row["change"] for found, row in rows.items()} == {
        ana: "changed", ben: "changed", cem: "left", eve: "appeared",
    }  # fmt: skip
    assert dan not in rows
    city = "city" if api.is_v1 else "City"
    assert rows[ana]["before"] == {"fields": {"Company": "Acme"}}
    assert rows[ana]["after"] == {"fields": {"Company": "Contoso", city: "Lima"}}
    assert (rows[ben]["before"]["unsubscribed"], rows[ben]["after"]["unsubscribed"]) == (False, True)
    assert rows[ben]["unsubscribed"] is True
    assert (rows[cem]["email"], rows[cem]["before"], rows[cem]["after"]) == ("cem@example.com", None, None)
    assert {row["time"] for row in rows.values()} == {second["time"]}
    assert {row["previous_time"] for row in rows.values()} == {first["time"]} == {second["previous_time"]}
    assert (third["appeared"], third["changed"], third["left"], third["previous_time"]) == (0, 0, 0, second["time"])
    assert (looks.folder / "3.jsonl").read_text() == ""


@pytest.mark.apis("v1")
def test_the_state_of_a_person_in_the_campaign_is_not_their_own_column(sandbox: Sandbox, looks: Looks) -> None:
    ana = add(sandbox, looks.campaign_id, "ana", status="VIP")
    sandbox._store.run("UPDATE campaign SET paused = 0")
    looks.look("1.jsonl")
    sandbox.happen("open", to=ana)

    looks.look("2.jsonl")

    (row,) = looks.changes("2.jsonl")
    assert (row["status"], row["fields"]["status"]) == ("opened", "VIP")
    assert row["after"] == {"status": "opened"}


def test_the_changes_of_any_sequence_of_events_are_the_last_snapshot(
    sandbox: Sandbox, looks: Looks, client: SalesBlinkClient
) -> None:
    chance, names, there = random.Random(13), count(), list[str]()
    for number in range(25):
        for _ in range(chance.randrange(12)):
            event = chance.choice(["add", "add", "change", "change", "leave", "unsubscribe"])
            if event == "add" or not there:
                there.append(add(sandbox, looks.campaign_id, f"p{next(names)}"))
                continue
            who = chance.choice(there)
            if event == "change":
                client.prospects.update(who, {chance.choice(["Company", "City"]): chance.choice("abc")})
            elif event == "leave":
                remove(sandbox, who)
                there.remove(who)
            else:
                client.prospects.unsubscribe(who)
        looks.look(f"{number}.jsonl")

        assert looks.replayed() == looks.now()
    assert len(there) > 20


# A read that fails


def test_a_campaign_that_cannot_be_read_to_its_end_writes_nothing(api: Api, sandbox: Sandbox, looks: Looks) -> None:
    for number in range(250):
        add(sandbox, looks.campaign_id, f"p{number}")
    looks.look("1.jsonl")
    before = looks.previous.read_bytes()
    if api.is_v1:
        # The first two pages can be read.
        api.fault("prospects", "slow", seconds=0, times=2)
    api.fault("prospects", "truncated", times=None)

    with pytest.raises(SalesBlinkError):
        looks.look("2.jsonl")

    assert looks.previous.read_bytes() == before
    assert {path.name for path in looks.folder.iterdir()} == {"1.jsonl", "_previous.snapshot", "_lock"}
    sandbox.clear_faults()
    assert looks.look("2.jsonl")["left"] == 0


def test_a_campaign_that_suddenly_shows_nobody_is_read_again(
    sandbox: Sandbox, looks: Looks, client: SalesBlinkClient
) -> None:
    ana = add(sandbox, looks.campaign_id, "ana")
    looks.look("1.jsonl")
    answers: list[Iterable[Prospect]] = [[], client.prospects.each(looks.campaign_id)]
    target = Target(str(looks.folder / "2.jsonl"), "jsonl")

    assert compare(lambda: answers.pop(0), looks.campaign_id, target, looks.store())["left"] == 0

    assert answers == []
    remove(sandbox, ana)
    assert looks.look("3.jsonl")["left"] == 1


# Runs that stop, and run again


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("goes_on", ["the same run again", "the next run"])
def test_a_run_that_is_killed_loses_no_change_and_writes_none_twice(
    step: str, goes_on: str, api: Api, sandbox: Sandbox, looks: Looks, client: SalesBlinkClient
) -> None:
    ana, ben, cem = (add(sandbox, looks.campaign_id, name) for name in ("ana", "ben", "cem"))
    looks.look("1.jsonl", "run 1")
    client.prospects.update(ana, {"Company": "Acme"})
    remove(sandbox, ben)
    command = [sys.executable, "-m", "tests.results.comparing_process", sandbox.url, sandbox.key, api.version]
    killed = [looks.campaign_id, str(looks.previous), str(looks.folder / "2.jsonl"), "run 2", step]
    assert subprocess.run([*command, *killed], cwd=ROOT, timeout=60).returncode == -signal.SIGKILL
    client.prospects.update(ana, {"Company": "Contoso"})
    client.prospects.update(cem, {"Company": "Initech"})
    add(sandbox, looks.campaign_id, "dan")

    if goes_on == "the same run again":
        looks.look("2.jsonl", "run 2")
    looks.look("3.jsonl", "run 3")

    assert looks.replayed() == looks.now()
    assert not Path(f"{looks.previous}.next").exists()
    # Somebody who runs the killed run again later finds its changes in one of the two files.
    looks.look("2.jsonl", "run 2")
    looks.look("4.jsonl", "run 4")
    assert looks.replayed() == looks.now()


class KilledError(BaseException):
    """Ends a run as a kill does."""


def die() -> None:
    raise KilledError


@pytest.mark.parametrize("seed", range(3))
def test_many_runs_that_are_killed_cleared_and_run_again_lose_no_change(
    seed: int, sandbox: Sandbox, looks: Looks, client: SalesBlinkClient
) -> None:
    chance, there, kills = random.Random(seed), list[str](), 0
    for number in range(30):
        for _ in range(chance.choice([1, 1, 3])):
            there.append(add(sandbox, looks.campaign_id, f"p{len(there)}"))
            client.prospects.update(chance.choice(there), {"Company": chance.choice("abc")})
            cleared = chance.randrange(number + 1) if chance.random() < 0.3 else number
            try:
                looks.look(f"{cleared}.jsonl", f"run {cleared}", DyingFiles(chance.choice([*STEPS, ""]), die))
            except KilledError:
                kills += 1

    looks.look("last.jsonl", "last")
    assert kills > 20
    assert looks.replayed() == looks.now()


def test_a_run_that_stopped_between_its_two_writes_gets_the_same_file_from_the_next_one(
    api: Api, sandbox: Sandbox, looks: Looks
) -> None:
    add(sandbox, looks.campaign_id, "ana")
    command = [sys.executable, "-m", "tests.results.comparing_process", sandbox.url, sandbox.key, api.version]
    killed = [looks.campaign_id, str(looks.previous), str(looks.folder / "1.jsonl"), "run 1", "after 2"]
    assert subprocess.run([*command, *killed], cwd=ROOT, timeout=60).returncode == -signal.SIGKILL
    written = (looks.folder / "1.jsonl").read_bytes()
    add(sandbox, looks.campaign_id, "ben")

    looks.look("2.jsonl", "run 2")

    assert (looks.folder / "1.jsonl").read_bytes() == written
    assert looks.words("2.jsonl") == {"ben@example.com": "appeared"}


def test_a_run_that_is_done_does_not_read_again(sandbox: Sandbox, looks: Looks) -> None:
    add(sandbox, looks.campaign_id, "ana")
    first = looks.look("1.jsonl", "run 1")
    add(sandbox, looks.campaign_id, "ben")
    second = looks.look("2.jsonl", "run 2")
    requests = len(sandbox.requests)
    files = {path.name: path.read_bytes() for path in looks.folder.glob("*.jsonl")}

    assert looks.look("1.jsonl", "run 1") == first
    assert looks.look("2.jsonl", "run 2") == second

    assert len(sandbox.requests) == requests
    assert {path.name: path.read_bytes() for path in looks.folder.glob("*.jsonl")} == files


def test_the_last_changes_file_is_written_again_if_it_is_gone(sandbox: Sandbox, looks: Looks) -> None:
    add(sandbox, looks.campaign_id, "ana")
    looks.look("1.jsonl", "run 1")
    add(sandbox, looks.campaign_id, "ben")
    looks.look("2.jsonl", "run 2")
    written = (looks.folder / "2.jsonl").read_bytes()
    (looks.folder / "2.jsonl").unlink()

    looks.look("2.jsonl", "run 2")

    assert (looks.folder / "2.jsonl").read_bytes() == written


def test_runs_that_share_one_changes_file_each_write_what_changed_since_the_run_before(
    sandbox: Sandbox, looks: Looks
) -> None:
    for number, name in enumerate(("ana", "ben", "cem")):
        add(sandbox, looks.campaign_id, name)
        looks.look("changes.jsonl", f"run {number}" if number else None)

        assert looks.words("changes.jsonl") == {f"{name}@example.com": "appeared"}


@pytest.mark.parametrize("step", STEPS[:6])
def test_a_shared_changes_file_has_the_changes_of_a_killed_run_and_those_of_the_next_one(
    step: str, sandbox: Sandbox, looks: Looks
) -> None:
    looks.look("changes.jsonl", "run 1")
    add(sandbox, looks.campaign_id, "ana")
    with pytest.raises(KilledError):
        looks.look("changes.jsonl", "run 2", DyingFiles(step, die))
    add(sandbox, looks.campaign_id, "ben")

    looks.look("changes.jsonl", "run 3")

    assert looks.words("changes.jsonl") == {"ana@example.com": "appeared", "ben@example.com": "appeared"}


def test_of_two_runs_at_once_one_stops_and_no_change_is_lost(
    sandbox: Sandbox, looks: Looks, client: SalesBlinkClient
) -> None:
    add(sandbox, looks.campaign_id, "ana")
    looks.look("1.jsonl")
    add(sandbox, looks.campaign_id, "ben")

    def overtaken() -> Iterable[Prospect]:
        yield from client.prospects.each(looks.campaign_id)
        looks.look("3.jsonl")

    target = Target(str(looks.folder / "2.jsonl"), "jsonl")
    with pytest.raises(OtherRunError, match="at the same time, so this one stops"):
        compare(overtaken, looks.campaign_id, target, looks.store())

    assert not (looks.folder / "2.jsonl").exists()
    assert looks.replayed() == looks.now()


def test_a_clock_that_was_set_back_does_not_turn_the_order_of_the_looks_around(sandbox: Sandbox, looks: Looks) -> None:
    add(sandbox, looks.campaign_id, "ana")
    looks.look("1.jsonl")
    header, *rest = gzip.decompress(looks.previous.read_bytes()).splitlines(keepends=True)
    later = json.dumps({**json.loads(header), "time": "2999-01-01T00:00:00.000+00:00"}).encode() + b"\n"
    looks.previous.write_bytes(gzip.compress(b"".join([later, *rest])))

    assert looks.look("2.jsonl")["time"] == "2999-01-01T00:00:00.001+00:00"


# The last snapshot


def test_a_snapshot_of_another_campaign_is_refused(sandbox: Sandbox, looks: Looks) -> None:
    looks.look("1.jsonl")
    looks.campaign_id = sandbox.add_campaign("Autumn")

    with pytest.raises(InvalidInputError, match=r"is of another campaign, .* Pass a previous_path of its own for each"):
        looks.look("2.jsonl")


@pytest.mark.parametrize("cut", [0, 20, -1])
def test_a_damaged_snapshot_is_refused_before_the_campaign_is_read(cut: int, sandbox: Sandbox, looks: Looks) -> None:
    for number in range(50):
        add(sandbox, looks.campaign_id, f"p{number}")
    looks.look("1.jsonl")
    looks.previous.write_bytes(looks.previous.read_bytes()[:cut])
    requests = len(sandbox.requests)

    with pytest.raises(InvalidInputError, match=r"is damaged, or not a snapshot .* Restore it; or delete it to start"):
        looks.look("2.jsonl")

    assert len(sandbox.requests) == requests
    assert not (looks.folder / "2.jsonl").exists()


@pytest.mark.parametrize("content", [b"[1]\n", b"{}\n", b'{"format": "another"}\n', b"no JSON\n", b""])
def test_something_other_than_a_snapshot_is_refused(content: bytes, looks: Looks) -> None:
    looks.previous.write_bytes(gzip.compress(content))

    with pytest.raises(InvalidInputError, match="is damaged, or not a snapshot"):
        looks.look("1.jsonl")


# Who is who


@pytest.mark.apis("v1")
def test_somebody_who_is_taken_off_the_list_but_not_out_of_the_campaign_keeps_the_id(
    sandbox: Sandbox, looks: Looks
) -> None:
    ana = add(sandbox, looks.campaign_id, "ana", Company="Acme")
    looks.look("1.jsonl")
    sandbox._store.leads.delete(ana)

    looks.look("2.jsonl")
    looks.look("3.jsonl")

    (row,) = looks.changes("2.jsonl")
    assert (row["change"], row["id"], row["before"], row["after"]) == (
        "changed", ana, {"fields": {"Company": "Acme"}}, {"fields": {}},
    )  # fmt: skip
    assert looks.changes("3.jsonl") == []


@pytest.mark.apis("classic")
def test_people_with_two_ids_are_two_and_without_one_are_known_by_their_address(sandbox: Sandbox, looks: Looks) -> None:
    twice = [add(sandbox, looks.campaign_id, "ana") for _ in range(2)]

    assert looks.look("1.jsonl")["count"] == 2
    assert [row["id"] for row in looks.changes("1.jsonl")] == sorted(twice)


def compared(*looks: list[Prospect]) -> tuple[dict[str, int], int]:
    """Return what changed between two looks, and how many people there are now."""
    earlier, now = looks
    with People() as before, People() as people:
        before.read(earlier)
        people.read_earlier(before.rows())
        people.read(now)
        return people.counts_of_changes(), people.counts()["count"]


@pytest.mark.apis("classic")
def test_a_person_without_an_id_is_known_by_the_address() -> None:
    ana, ben = prospect(id=None), prospect(id=None, email="ben@example.com")
    changed = prospect(id=None, email="Ana@Example.com", unsubscribed=True)

    assert compared([ana, ben], [ben, ana]) == ({"appeared": 0, "changed": 0, "left": 0}, 2)
    assert compared([ana, ben], [changed]) == ({"appeared": 0, "changed": 1, "left": 1}, 1)


@pytest.mark.apis("classic")
def test_a_row_that_repeats_a_person_replaces_the_row_before(caplog: pytest.LogCaptureFixture) -> None:
    with People() as people:
        people.read([prospect(), prospect(id="p2", email="b@x.y"), prospect(unsubscribed=True)])
        rows = list(people.rows())
        assert people.counts() == {"count": 2, "unsubscribed": 1}

    assert [(row["id"], row["unsubscribed"]) for row in rows] == [("p1", True), ("p2", None)]
    assert "Rows that repeat a person: 1. The last row of each person counts." in caplog.messages


@pytest.mark.apis("classic")
def test_two_people_under_one_id_are_an_error(sandbox: Sandbox, looks: Looks) -> None:
    sandbox.shapes = Shapes(id_style="id", collision="column")
    for name in ("ana", "ben"):
        add(sandbox, looks.campaign_id, name, id="7")

    with pytest.raises(UnreadableResponseError, match="two people with different addresses under one id"):
        looks.look("1.jsonl")

    assert not looks.previous.exists()


@pytest.mark.apis("classic")
def test_the_order_of_columns_is_not_a_change_and_the_type_of_a_value_is() -> None:
    one, other = prospect(fields={"A": 1, "B": {"x": 1, "y": 2}}), prospect(fields={"B": {"y": 2, "x": 1}, "A": 1})

    assert compared([one], [other])[0]["changed"] == 0
    assert compared([prospect(fields={"A": 1})], [prospect(fields={"A": True})])[0]["changed"] == 1


@pytest.mark.apis("classic")
def test_any_text_survives(looks: Looks) -> None:
    ana = prospect(id="\ud800", fields={"Note": "\udfff=1+1\u2028é", "Tags": ["a", None]})
    store, target = looks.store(), Target(str(looks.folder / "1.jsonl"), "jsonl")

    compare(lambda: [ana], looks.campaign_id, target, store)
    compare(list, looks.campaign_id, Target(str(looks.folder / "2.jsonl"), "jsonl"), store)

    for name in ("1.jsonl", "2.jsonl"):
        (row,) = looks.changes(name)
        assert (row["id"], row["fields"]) == ("\ud800", ana["fields"])
