"""What Airflow knows a trigger by is the same in each process and however its arguments were written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_salesblink.triggers.events import ProspectEventTrigger
from airflow_provider_salesblink.triggers.prospects import ProspectTrigger
from airflow_provider_salesblink.waiting.changes import KINDS
from tests.triggers.running import USUAL, made_again

PRINTED = """
import json
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger
from airflow_provider_salesblink.triggers.prospects import ProspectTrigger

kinds = {"unsubscribed", "changed", "appeared"}
where = {"Stage": {"in": {"Won", "Lost", "Open", "Later", 7}}, "Score": {"gte": 5}}
watchers = [
    ProspectEventTrigger(campaign_id="spring", events=each)
    for each in (kinds, frozenset(kinds), list(kinds), tuple(kinds), (kind for kind in kinds), dict.fromkeys(kinds))
]
usual = {"salesblink_conn_id": "crm", "poll_interval": 60, "max_consecutive_failures": 9}
waiting = ProspectTrigger(campaign_id="spring", prospect_id="p", where=where, **usual)
print(json.dumps([[each.serialize() for each in watchers], waiting.serialize()]))
try:
    from airflow.serialization.encoders import encode_trigger
    from airflow.serialization.serialized_objects import BaseSerialization
    # What Airflow takes a watcher's hash of; the hash itself depends on the seed.
    stored = [encode_trigger(dict(zip(("classpath", "kwargs"), each.serialize())))["kwargs"] for each in watchers]
    print(json.dumps([BaseSerialization.serialize(each) for each in stored]))
except ImportError:
    print("[]")
"""


@pytest.fixture(scope="module")
def printed() -> list[list[str]]:
    """What processes with different hash seeds print."""
    return [_printed(seed) for seed in ("0", "1", "4711")]


def _printed(seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRINTED],
        env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-2:]


def test_processes_with_different_hash_seeds_serialize_alike(printed: list[list[str]]) -> None:
    assert printed[0] == printed[1] == printed[2]


def test_all_ways_of_writing_the_events_are_one_watcher(printed: list[list[str]]) -> None:
    watchers, waiting = json.loads(printed[0][0])

    assert [each[1]["events"] for each in watchers] == [list(KINDS)] * 6
    assert list(waiting[1]["where"]) == ["Score", "Stage"]
    assert waiting[1]["where"]["Stage"]["in"] == [7, "Later", "Lost", "Open", "Won"]


@pytest.mark.generation(3)  # Airflow 2 watches no assets
def test_airflow_gives_them_the_same_hash(printed: list[list[str]]) -> None:
    from airflow.triggers.base import BaseEventTrigger

    theirs = [each for lines in printed for each in json.loads(lines[0])[0]]
    ours = ProspectEventTrigger(campaign_id="spring", events=iter(reversed(KINDS)))

    assert {BaseEventTrigger.hash(*each) for each in theirs} == {BaseEventTrigger.hash(*ours.serialize())}
    assert len({json.dumps(each) for lines in printed for each in json.loads(lines[1])}) == 1


@pytest.mark.parametrize(
    "events",
    [["changed", "changed"], {"changed"}, ("changed",), (kind for kind in ["changed"])],
    ids=["list", "set", "tuple", "generator"],
)
def test_repeats_and_kinds_of_containers_do_not_count(events: Any) -> None:
    trigger = ProspectEventTrigger(campaign_id="spring", events=events)

    assert trigger.events == ["changed"]
    assert trigger.serialize() == ProspectEventTrigger(campaign_id="spring", events=["changed"]).serialize()


def test_watchers_of_other_events_share_what_is_seen() -> None:
    one, other = (ProspectEventTrigger(campaign_id="spring", events=each) for each in ({"changed"}, ["appeared"]))

    assert one.serialize() != other.serialize()
    assert one.shared_stream_key() == other.shared_stream_key()


@pytest.mark.parametrize(
    "events",
    ["changed", ["changed", ["appeared"]], {"sent", "changed"}, [None]],
    ids=["text", "nested", "unknown", "none"],
)
def test_other_events_are_refused(events: Any) -> None:
    with pytest.raises(ValueError, match="it takes some of 'appeared', 'changed', 'unsubscribed'"):
        ProspectEventTrigger(campaign_id="spring", events=events)


def test_a_set_in_where_means_what_a_list_means() -> None:
    def trigger(wanted: Any) -> ProspectTrigger:
        return ProspectTrigger(campaign_id="c", prospect_id="p", where={"B": {"in": wanted}, "A": "x"}, **USUAL)

    assert trigger({"Won", "Lost"}).serialize() == trigger(["Lost", "Won"]).serialize()
    assert made_again(trigger({"Won", "Lost"})).serialize() == trigger(["Lost", "Won"]).serialize()
    trigger(frozenset({"Won"})).condition()
