"""The sandbox as a Python object: start, reset, stop, and its database file."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests  # noqa: TID251  # the tests are this server's client

from airflow_provider_salesblink.sandbox import CampaignState, Limits, Person, Sandbox, SandboxUsageError, Shapes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox.conftest import Call


def test_people_and_campaigns_are_plain_values(sandbox: Sandbox, campaign: str) -> None:
    ana = sandbox.add_person(campaign, {"email": "ana@example.com", "Score": 7}, unsubscribed=True)

    fields = {"email": "ana@example.com", "Score": 7}
    assert sandbox.people() == [Person(ana, campaign, "ana@example.com", fields, unsubscribed=True)]
    assert sandbox.campaigns() == [CampaignState(campaign, "Spring", paused=False)]
    assert sandbox.people("other") == []


def test_a_person_needs_an_existing_campaign_and_ids_are_unique(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxUsageError, match="no campaign"):
        sandbox.add_person("nope", {})
    sandbox.add_campaign("Spring", id="spring")
    with pytest.raises(SandboxUsageError, match="already"):
        sandbox.add_campaign("Spring", id="spring")


def test_reset_removes_everything_except_the_keys(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.add_person(campaign, {"Email": "ana@example.com"})
    sandbox.fault("*", "reset", times=None, share=0.5)
    sandbox.limits, sandbox.shapes, key = Limits(reads=1), Shapes(envelope="bare"), sandbox.key

    sandbox.reset()

    assert (sandbox.campaigns(), sandbox.people(), sandbox.requests) == ([], [], [])
    assert (sandbox.limits, sandbox.shapes, sandbox.key) == (Limits(), Shapes(), key)
    assert [call("GET", "/api/campaigns").status_code for _ in range(20)] == [200] * 20


def test_two_sandboxes_are_independent() -> None:
    with Sandbox(seed="demo") as one, Sandbox() as other:
        assert one.url != other.url
        assert one.key != other.key
        assert (len(one.campaigns()), other.campaigns()) == (3, [])
        assert (
            requests.get(f"{other.url}/api/my-team", headers={"Authorization": one.key}, timeout=5).status_code == 401
        )


def test_it_stops_immediately_despite_open_requests() -> None:
    with Sandbox() as sandbox, requests.Session() as idle:
        idle.get(f"{sandbox.url}/api/campaigns", timeout=5)
        sandbox.fault("*", "slow", seconds=60)
        outcome: list[Exception] = []

        def wait() -> None:
            try:
                requests.get(f"{sandbox.url}/api/campaigns", timeout=30)
            except requests.ConnectionError as error:
                outcome.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while len(sandbox.requests) < 2:
            threading.Event().wait(0.01)
        stopping = time.monotonic()
    waiting.join(5)

    assert time.monotonic() - stopping < 2
    assert len(outcome) == 1


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxUsageError, match=f"port {port}"), Sandbox(port=port):
            pass


def test_a_file_outlives_the_sandbox_and_is_not_seeded_twice(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.db"
    with Sandbox(db=file, seed="demo") as sandbox:
        sandbox.add_person("spring-2027", {"Email": "gil@example.com"})
        people = sandbox.people()
    with Sandbox(db=str(file), seed="demo") as sandbox:
        assert sandbox.people() == people
        assert [campaign.id for campaign in sandbox.campaigns()].count("spring-2027") == 1


def test_a_database_of_another_application_stays_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()
    before = file.read_bytes()

    with pytest.raises(SandboxUsageError, match="another application"):
        Sandbox(db=file)

    assert file.read_bytes() == before


def test_a_file_that_is_not_a_database_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Not a database, but long enough to be looked at as one. " * 20)

    with pytest.raises(SandboxUsageError, match=r"notes\.txt"):
        Sandbox(db=file)
    with pytest.raises(SandboxUsageError, match="unable to open"):
        Sandbox(db=tmp_path / "no" / "such.db")


def test_a_seed_from_a_file(tmp_path: Path) -> None:
    member = {"user_name": "Kim", "email": "kim@example.com"}
    people = [{"Email": "ana@example.com"}, {"email": "ben@example.com"}]
    spring = {"id": "s", "name": "Spring", "paused": True, "people": people, "unsubscribed": ["BEN@example.com"]}
    file = tmp_path / "seed.json"
    file.write_text(json.dumps({"campaigns": [spring], "members": [member]}))

    with Sandbox(seed=file) as sandbox:
        assert sandbox.campaigns() == [CampaignState("s", "Spring", paused=True)]
        assert [(person.email, person.unsubscribed) for person in sandbox.people("s")] == [
            ("ana@example.com", False),
            ("ben@example.com", True),
        ]
        answered = requests.get(f"{sandbox.url}/api/my-team", headers={"Authorization": sandbox.key}, timeout=5)
        assert answered.json()["data"] == [member]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "Cannot read the seed"),
        ("[]", "not a JSON object"),
        ('{"people": []}', "Known: lists, campaigns, members"),
        ('{"campaigns": {}}', "list of objects"),
        ('{"campaigns": [{"id": "x"}]}', "needs a name"),
        ('{"campaigns": [{"name": "x", "colour": 1}]}', "Known: id, name, paused, lists, people"),
        ('{"campaigns": [{"name": "x", "people": ["ana@example.com"]}]}', "list of objects"),
        ('{"campaigns": [{"name": "x", "unsubscribed": "ana@example.com"}]}', "list of addresses"),
        ('{"campaigns": [{"id": "x", "name": "x"}, {"id": "x", "name": "y"}]}', "already"),
    ],
)
def test_an_invalid_seed_is_an_error_and_adds_nothing(tmp_path: Path, content: str, named: str) -> None:
    file, db = tmp_path / "seed.json", tmp_path / "sandbox.db"
    file.write_text(content)

    with pytest.raises(SandboxUsageError, match=named):
        Sandbox(db=db, seed=file)

    with Sandbox(db=db) as sandbox:
        assert sandbox.campaigns() == []


def test_a_missing_seed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SandboxUsageError, match="No such file"):
        Sandbox(seed=tmp_path / "nowhere.json")


def test_a_key_must_be_a_valid_header_value() -> None:
    with pytest.raises(SandboxUsageError, match="ASCII"):
        Sandbox(key="schlüssel")


def test_many_threads_at_once(sandbox: Sandbox, campaign: str) -> None:
    """API requests and the Python interface use the same store."""

    def add(number: int) -> None:
        body: dict[str, Any] = {"campaignID": campaign, "data": {"Email": f"r{number}@example.com"}}
        headers = {"Authorization": sandbox.key}
        for _ in range(20):
            requests.post(f"{sandbox.url}/api/prospect-add", json=body, headers=headers, timeout=10).raise_for_status()
            sandbox.add_person(campaign, {"Email": f"p{number}@example.com"})
            sandbox.people()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sandbox.people(campaign)) == len({person.id for person in sandbox.people()}) == 240
