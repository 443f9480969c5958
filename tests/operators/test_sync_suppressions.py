"""The operator that brings the user's suppression list and SalesBlink's blocklist together."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_salesblink.client import UnreadableResponseError
from airflow_provider_salesblink.loading.suppressions import Suppressions
from airflow_provider_salesblink.operators.blocklist import SyncSuppressionsOperator
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules
from tests.conftest import ROOT
from tests.operators.syncs import DIRECTIONS, NOTHING, counts, sha256, sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "suppressed.txt"


@pytest.mark.parametrize(
    ("direction", "blocked", "lines", "counted"),
    [
        ("to_salesblink", ["ana@example.com", "bo@example.com", "example.org"], "ana@example.com example.org", "sent"),
        ("from_salesblink", ["bo@example.com"], "ana@example.com example.org bo@example.com", "appended"),
        (
            "both",
            ["ana@example.com", "bo@example.com", "example.org"],
            "ana@example.com example.org bo@example.com",
            "",
        ),
    ],
)
def test_each_direction_adds_what_the_other_side_lacks(
    direction: str, blocked: list[str], lines: str, counted: str, sandbox: Sandbox, path: Path
) -> None:
    path.write_text("ana@example.com\nexample.org\n")
    sandbox.block("bo@example.com")

    result = sync(path, direction)

    done = {"sent": 2, "appended": 1}
    expected = {counted: done[counted]} if counted else done
    assert result == {"outcome": "synced", "direction": direction, "entries": 2, **NOTHING, **expected}
    assert sorted(sandbox.blocked()) == blocked
    assert path.read_text().split() == lines.split()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_second_run_changes_nothing(direction: str, sandbox: Sandbox, path: Path, changes: Changes) -> None:
    path.write_text(f"ana@example.com\nexample.org\n{sha256('cy@example.com')}\n")
    sandbox.block("bo@example.com", "cy@example.com", "example.net")
    sync(path, direction)
    before, sent = path.read_text(), len(changes())

    result = sync(path, direction)

    assert path.read_text() == before
    assert len(changes()) == sent
    assert counts(result).keys() <= {"entries", "there"}


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        ("Ana@Example.com", "ana@example.com"),
        ('"Ana" <ana@example.com>', "ana@example.com"),
        ("ana@b\u00fccher.example", "ana@xn--bcher-kva.example"),
        ("ana@xn--bcher-kva.example", "ana@b\u00fccher.example"),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("@Example.org", "example.org"),
        ("*.example.org", "@example.org"),
        ("www.example.org", "EXAMPLE.org"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        (sha256("ana@xn--bcher-kva.example").upper(), "Ana@B\u00dcCHER.example"),
    ],
)
def test_two_spellings_of_one_entry_are_there(
    own: str, theirs: str, sandbox: Sandbox, path: Path, changes: Changes
) -> None:
    path.write_text(f"{own}\n")
    sandbox.block(theirs)

    assert counts(sync(path)) == {"entries": 1, "there": 1}
    assert path.read_text() == f"{own}\n"
    assert changes() == []


def test_a_domain_that_the_file_cannot_name_is_still_there(sandbox: Sandbox, path: Path, changes: Changes) -> None:
    path.write_text("www.www.de\n")
    sandbox.block("www.de")

    # As an entry of the file, www.de would stand for all of de.
    assert counts(sync(path)) == {"entries": 1, "there": 1, "unreadable": 1}
    assert changes() == []


NAMES = [
    "ana",
    "Ana",
    "jos\u00e9",
    "jose\u0301",
    "o'neil",
    "+news",
    "-dash",
    "_x",
    "x--y",
    "\uff41\uff4e\uff41",
    "an\u200ba",
]
DOMAINS = [
    "example.com", "Example.COM", "b\u00fccher.example", "xn--bcher-kva.example", "mail.example.org",
    "example\u3002com", "\u4f8b\u3048.jp", "1.2.3.4", "foo.test", "-x.com", "www.www.de", "e.mail",
]  # fmt: skip
JUNK = ["", "# left", "a;b", "https://a.example/", "@@", "\u2028", "\x00", "a b@c.de", '"', "=1", "a@b", "A <q@b.de>"]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_lists_hold_a_second_run_finds_nothing_to_do(seed: int, sandbox: Sandbox, path: Path) -> None:
    chance = random.Random(seed)

    def some(most: int) -> list[str]:
        addresses = [f"{chance.choice(NAMES)}@{chance.choice(DOMAINS)}" for _ in range(chance.randrange(most))]
        domains = [
            chance.choice(["", "@", "*.", "www."]) + chance.choice(DOMAINS) for _ in range(chance.randrange(most))
        ]
        entries = [*addresses, *domains, *chance.sample(JUNK, 4)]
        return chance.sample(entries, len(entries))

    before = chance.choice(["\n", "\r\n"]).join(some(40)).encode()
    path.write_bytes(before)
    sandbox.block(*some(120))

    first = sync(path, max_rejected=100)
    between = path.read_bytes(), sandbox.blocked()
    second = sync(path, max_rejected=100)

    assert first["entries"] == sum(first[name] for name in ("sent", "there", "hashes", "repeats", "rejected"))
    assert between[0].startswith(before)
    assert (second["sent"], second["appended"]) == (0, 0)
    assert (path.read_bytes(), sandbox.blocked()) == between
    added = between[0][len(before) :].decode().split()
    assert len(added) == first["appended"]
    assert len(Suppressions(added)) == len(added)


def test_an_address_and_its_domain_are_two_entries(sandbox: Sandbox, path: Path) -> None:
    path.write_text("example.com\nana@example.org\n")
    sandbox.block("ana@example.com", "example.org")

    assert counts(sync(path)) == {"entries": 2, "sent": 2, "appended": 2}
    assert sorted(sandbox.blocked()) == ["ana@example.com", "ana@example.org", "example.com", "example.org"]
    assert path.read_text().split() == ["example.com", "ana@example.org", "ana@example.com", "example.org"]


def test_hashes_cannot_be_sent_and_repeats_are_sent_once(sandbox: Sandbox, path: Path, changes: Changes) -> None:
    hashes = [sha256("ana@example.com"), sha256("bo@example.com")]
    path.write_text("\n".join(["email", "# left us", "", "Cy@example.com", " cy@example.com ", *hashes]))
    sandbox.block("bo@example.com")

    result = sync(path, "to_salesblink")

    assert counts(result) == {"entries": 4, "sent": 1, "there": 1, "hashes": 1, "repeats": 1}
    assert changes() == [("POST", "/unsubscribe", {"emails": ["Cy@example.com"]})]


@pytest.mark.parametrize(
    "theirs", ["www.example.org", "*.example.org", ".example.org", "just words", "ana@localhost", sha256("ana")]
)
def test_what_would_mean_something_else_in_the_file_is_left_out_and_reported(
    theirs: str, sandbox: Sandbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("example.org\n")
    sandbox.block("bo@example.com", theirs)

    result = sync(path)

    assert counts(result) == {"entries": 1, "sent": 1, "appended": 1, "unreadable": 1}
    assert path.read_text() == "example.org\nbo@example.com\n"
    assert "example.org" in sandbox.blocked()
    (warning,) = [each.message for each in caplog.records if "1 entries of SalesBlink's blocklist" in each.message]
    assert "(ids of the first: " in warning
    assert theirs not in warning


@pytest.mark.parametrize("shape", ["data", "entries", "data.data"])
def test_a_blocklist_of_a_thousand_entries_is_read_in_pages_and_sent_in_batches(
    shape: Any, sandbox: Sandbox, path: Path, changes: Changes
) -> None:
    sandbox.v1 = V1Rules(blocklist_shape=shape)
    theirs = [f"p{number}@example.com" for number in range(1000)]
    sandbox.block(*theirs)
    path.write_text("".join(f"P{number}@example.com\n" for number in range(750, 1250)))

    result = sync(path)

    assert counts(result) == {"entries": 500, "sent": 250, "there": 250, "appended": 750}
    assert [len(body["emails"]) for _, _, body in changes()] == [100, 100, 50]
    assert sorted(sandbox.blocked()) == sorted(f"p{number}@example.com" for number in range(1250))
    assert sorted(path.read_text().lower().split()) == sorted(f"p{number}@example.com" for number in range(1250))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_dry_run_changes_neither_side(
    direction: str, sandbox: Sandbox, connection: Callable[..., None], path: Path, changes: Changes
) -> None:
    connection(extra={"dry_run": True})
    path.write_text("ana@example.com\n")
    sandbox.block("bo@example.com")

    result = sync(path, direction)

    would = {"to_salesblink": {"sent": 1}, "from_salesblink": {"appended": 1}, "both": {"sent": 1, "appended": 1}}
    assert result["outcome"] == "dry_run"
    assert result["would_be"] == "synced"
    assert counts(result) == {"entries": 1, **would[direction]}
    assert changes() == []
    assert path.read_text() == "ana@example.com\n"


def test_a_dry_run_creates_no_file(sandbox: Sandbox, connection: Callable[..., None], path: Path) -> None:
    connection(extra={"dry_run": True})
    sandbox.block("bo@example.com")

    assert counts(sync(path)) == {"appended": 1}
    assert not path.exists()


def test_a_long_list_is_announced(
    connection: Callable[..., None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    connection(extra={"dry_run": True, "writes_per_minute": 15})
    path.write_text("".join(f"p{number}@example.com\n" for number in range(3001)))

    sync(path)

    assert "3,001 entries to send in 31 calls: about 3 min." in caplog.text


def test_no_address_is_logged(
    sandbox: Sandbox, path: Path, task_log: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    path.write_text("ana@example.com\nana@ secret@example.com\n")
    sandbox.block("bo@example.com", "secret@localhost")

    sync(path, max_rejected=1)

    assert "Your list has 2 entries, and SalesBlink's 2." in task_log()
    assert not any(each in caplog.text for each in ("ana@", "bo@", "secret"))


def test_blocking_twice_after_a_lost_answer_changes_nothing(sandbox: Sandbox, path: Path) -> None:
    path.write_text("ana@example.com\nexample.org\n")
    sandbox.fault("v1.addToBlocklist", "reset", when="after")

    assert counts(sync(path)) == {"entries": 2, "sent": 2}
    assert sorted(sandbox.blocked()) == ["ana@example.com", "example.org"]


@pytest.mark.parametrize("operation", ["v1.listBlocklist", "v1.addToBlocklist"])
def test_after_429s_the_task_is_deferred_and_then_counts_everything_once(
    operation: str, sandbox: Sandbox, connection: Callable[..., None], path: Path
) -> None:
    connection(extra={"max_attempts": 1})
    path.write_text("".join(f"p{number}@example.com\n" for number in range(150)) + sha256("bo@example.com"))
    sandbox.block("p0@example.com", "ana@example.com")
    sandbox.fault(operation, "slow", seconds=0)
    sandbox.fault(operation, "429", retry_after=5)
    task = SyncSuppressionsOperator(task_id="t", path=path)

    if operation == "v1.listBlocklist":
        sandbox.block(*(f"q{number}@example.com" for number in range(120)))
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    again = SyncSuppressionsOperator(task_id="t", path=path)
    result = again.resume({}, **json.loads(json.dumps(deferred.value.kwargs)))

    blocked = 1 + 120 * (operation == "v1.listBlocklist")
    assert counts(result) == {"entries": 151, "sent": 149, "there": 1, "appended": blocked, "hashes": 1}
    assert len(path.read_text().split()) == 151 + blocked
    assert len(set(path.read_text().split())) == 151 + blocked


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_blocklist_that_cannot_be_read_changes_neither_side(
    direction: str, sandbox: Sandbox, path: Path, changes: Changes, connection: Callable[..., None]
) -> None:
    connection(extra={"max_attempts": 1})
    path.write_text("ana@example.com\n")
    sandbox.block(*(f"q{number}@example.com" for number in range(120)))
    sandbox.fault("v1.listBlocklist", "slow", seconds=0)
    sandbox.fault("v1.listBlocklist", "html")

    with pytest.raises(UnreadableResponseError):
        sync(path, direction)

    assert path.read_text() == "ana@example.com\n"
    assert changes() == []


def test_entries_that_salesblink_refuses_do_not_hold_back_the_others(
    sandbox: Sandbox, path: Path, changes: Changes
) -> None:
    path.write_text("".join(f"p{number}@example.com\n" for number in range(8)))
    # It refuses all 8, accepts the first 4, and refuses the other 4, the first 2 of these, and their first one.
    for kind, option in [("status", 400), ("slow", 0), *[("status", 400)] * 3]:
        sandbox.fault("v1.addToBlocklist", kind, **{"status": option} if kind == "status" else {"seconds": option})

    result = sync(path, "to_salesblink", max_rejected=1)

    assert counts(result) == {"entries": 8, "sent": 7, "rejected": 1}
    assert sorted(sandbox.blocked()) == [f"p{number}@example.com" for number in range(8) if number != 4]
    assert [len(body["emails"]) for _, _, body in changes()] == [8, 4, 4, 2, 1, 1, 2]


def test_a_blocklist_that_refuses_everything_fails_soon(sandbox: Sandbox, path: Path, changes: Changes) -> None:
    path.write_text("".join(f"p{number}@example.com\n" for number in range(1000)))
    sandbox.fault("v1.addToBlocklist", "status", status=400, times=None)

    with pytest.raises(AirflowFailException, match="400 on POST"):
        sync(path, "to_salesblink", max_rejected=1000)

    assert len(changes()) < 60
    assert not sandbox.blocked()


FORKING = """
import os, sys
from airflow_provider_salesblink import loading
from airflow_provider_salesblink.operators.blocklist import SyncSuppressionsOperator
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        SyncSuppressionsOperator(task_id="t", path=sys.argv[1]).execute({})
        os._exit(0)
    print(pid, file=sys.stderr, flush=True)
    os.waitpid(pid, 0)
"""
"""Runs the task in a new process for each line that it reads, without starting Airflow each time."""


def test_killed_many_times_it_loses_nothing_and_appends_nothing_twice(sandbox: Sandbox, path: Path) -> None:
    own = [f"own{number}@example.com" for number in range(600)]
    theirs = [f"theirs{number}@example.com" for number in range(600)]
    path.write_text("\n".join(own))
    sandbox.block(*theirs)
    sandbox.fault("v1.listBlocklist", "slow", seconds=0.05, times=None)
    sandbox.fault("v1.addToBlocklist", "slow", seconds=0.2, times=None)
    requests = sandbox.requests
    moments: list[Callable[[], bool]] = [
        lambda: len(sandbox.requests) > len(requests),
        lambda: len(sandbox.requests) > len(requests) + 3,
        lambda: len(path.read_text().split()) == 1200,
        lambda: len(sandbox.blocked()) >= 700,
        lambda: len(sandbox.blocked()) >= 900,
        lambda: len(sandbox.requests) > len(requests) + 1,
    ]
    seen = []
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(path)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stderr
        for reached in moments:
            requests = sandbox.requests
            print(file=process.stdin, flush=True)
            pid = next(int(line) for line in process.stderr if line.strip().isdigit())
            wait_for(reached)
            os.kill(pid, signal.SIGKILL)
            seen.append((len(path.read_text().split()), len(sandbox.blocked())))

    assert seen[0] == (600, 600)
    assert seen[-1][0] == 1200
    assert 900 <= seen[-1][1] < 1200
    sync(path)

    assert sorted(sandbox.blocked()) == sorted(own + theirs)
    lines = path.read_text().split("\n")
    assert lines[: len(own)] == own
    assert sorted(lines[len(own) :]) == sorted([*theirs, ""])


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.001)  # noqa: TID251


def test_a_wrong_direction_is_an_error_of_the_dag() -> None:
    with pytest.raises(ValueError, match="direction is 'up'; it takes 'to_salesblink', 'from_salesblink', 'both'"):
        SyncSuppressionsOperator(task_id="t", path="list.txt", direction="up")  # type: ignore[arg-type]


@pytest.mark.apis("classic")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_on_the_classic_api_nothing_is_read_or_sent(direction: str, sandbox: Sandbox, path: Path) -> None:
    with pytest.raises(AirflowFailException, match="Set the connection's extra api_version to 'v1'"):
        sync(path, direction)

    assert not sandbox.requests
    assert not path.exists()
