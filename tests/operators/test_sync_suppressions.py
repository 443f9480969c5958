"""The operator that brings the user's suppression list and SalesBlink's blocklist together."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, TaskDeferred
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_salesblink.client import InvalidInputError, UnreadableResponseError
from airflow_provider_salesblink.loading.suppressions import Suppressions, read_suppressions
from airflow_provider_salesblink.operators.blocklist import SyncSuppressionsOperator
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules
from tests.conftest import GENERATION, ROOT

if GENERATION == 2:
    from airflow.io.store import attach
else:
    from airflow.sdk.io import attach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.postgres_server import Postgres

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")

NOTHING = {"sent": 0, "there": 0, "appended": 0, "hashes": 0, "repeats": 0, "rejected": 0, "unreadable": 0}
DIRECTIONS = ("to_salesblink", "from_salesblink", "both")


def sha256(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def sync(path: Any = None, direction: Any = "both", **more: Any) -> dict[str, Any]:
    given = {} if path is None else {"path": path}
    result: dict[str, Any] = SyncSuppressionsOperator(task_id="t", direction=direction, **given, **more).execute({})
    return result


def counts(result: dict[str, Any]) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {name: count for name, count in result.items() if isinstance(count, int) and count}


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


def test_a_missing_file_is_created_for_its_owner_only(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "new" / "suppressed.txt"
    sandbox.block("ana@example.com", "example.org")

    assert counts(sync(path, "from_salesblink")) == {"appended": 2}

    assert path.read_text() == "ana@example.com\nexample.org\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_file_is_created_even_if_there_is_nothing_to_append(path: Path) -> None:
    sync(path, "from_salesblink")

    assert path.read_text() == ""


def test_a_missing_file_has_nothing_to_send(sandbox: Sandbox, path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"path .* cannot be used \(FileNotFoundError\)"):
        sync(path, "to_salesblink")

    assert not sandbox.requests
    assert not path.exists()


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (b"", b"bo@example.com\n"),
        (b"ana@example.com\n", b"bo@example.com\n"),
        (b"ana@example.com", b"\nbo@example.com\n"),
        (b"ana@example.com\r\n", b"bo@example.com\r\n"),
        (b"email\r\nana@example.com", b"\r\nbo@example.com\r\n"),
        (b"ana@example.com\r", b"bo@example.com\n"),
        (b"\xef\xbb\xbfana@example.com", b"\nbo@example.com\n"),
        (b"\xef\xbb\xbf", b"\nbo@example.com\n"),
        (b"# \xc3\xa4\n", b"bo@example.com\n"),
    ],
)
@pytest.mark.parametrize("storage", ["local", "memory"])
def test_new_lines_continue_the_file_as_it_is_written(
    storage: str, before: bytes, added: bytes, sandbox: Sandbox, path: Path
) -> None:
    if storage == "memory":
        attach("memory", fs=MemoryFileSystem())
    target = ObjectStoragePath(str(path) if storage == "local" else "memory://bucket/suppressed.txt")
    target.write_bytes(before)
    sandbox.block("bo@example.com")

    sync(target, "from_salesblink")

    assert target.read_bytes() == before + added
    with target.open("rb") as file:
        assert b"bo@example.com" in file.read()
    assert read_suppressions(target).hold("bo@example.com")
    assert read_suppressions(target).hold("ana@example.com") is (b"ana@" in before)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("list.txt.gz", None, "packed with gzip"),
        ("list.txt", gzip.compress(b"ana@example.com\n", mtime=0), "packed with gzip"),
        ("list.txt", "ana@example.com\n".encode("utf-16"), "UTF-16"),
    ],
)
@pytest.mark.parametrize("direction", ["from_salesblink", "both"])
def test_a_file_that_cannot_grow_is_refused_before_anything_is_sent(
    direction: str, name: str, content: bytes | None, says: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(AirflowFailException, match=f"The file of path is {says}.*Save it as plain UTF-8"):
        sync(tmp_path / name, direction)

    assert not sandbox.requests
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([] if content is None else [content])


@pytest.mark.parametrize(
    "content", [gzip.compress(b"ana@example.com\n", mtime=0), "ana@example.com\n".encode("utf-16")]
)
def test_a_file_that_cannot_grow_can_still_be_sent(content: bytes, sandbox: Sandbox, path: Path) -> None:
    path.write_bytes(content)

    assert counts(sync(path, "to_salesblink")) == {"entries": 1, "sent": 1}
    assert sandbox.blocked() == ["ana@example.com"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ana@example.com\n\xff\xfe\x00\n", "Line 2 of the file is not UTF-8"),
        (b"<html><body>Log in</body></html>", "a page of HTML"),
        (gzip.compress(b"ana@example.com\n", mtime=0)[:-9], "damaged or cut off"),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_task(content: bytes, says: str, sandbox: Sandbox, path: Path) -> None:
    path.write_bytes(content)

    with pytest.raises(AirflowFailException, match=f"nothing was sent.*{says}"):
        sync(path, "to_salesblink")

    assert not sandbox.requests


def test_lines_that_are_not_entries_are_rejected_and_the_others_are_sent(sandbox: Sandbox, path: Path) -> None:
    before = "ana@example.com\nbo@@example.com\nexample.local\ncy;dee\nexample.org\nexample.net\n"
    path.write_text(before)
    sandbox.block("bo@example.com")

    with pytest.raises(AirflowFailException, match=r"3 of 6 entries were rejected, more than max_rejected=0") as failed:
        sync(path)

    assert sorted(sandbox.blocked()) == ["ana@example.com", "bo@example.com", "example.net", "example.org"]
    assert path.read_text() == before
    assert "Line 2 is not an e-mail address: it may be more than one address" in str(failed.value)
    assert "Line 3 is a domain that gets no mail: remove it." in str(failed.value)
    assert "Line 4 is several cells" in str(failed.value)
    assert "Sent: 3; appended to your list: 0." in str(failed.value)
    assert "@@" not in str(failed.value)
    assert counts(sync(path, max_rejected=3)) == {"entries": 6, "there": 3, "rejected": 3, "appended": 1}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("content", ["id,email\n" + "7,ana@example.com\n" * 9, "Ana\nBo\ncy@example.com\n"])
def test_another_file_stays_as_it_is_and_nobody_in_it_is_blocked(
    content: str, direction: str, sandbox: Sandbox, path: Path, changes: Changes
) -> None:
    path.write_text(content)
    sandbox.block("bo@example.com")

    with pytest.raises(AirflowFailException, match="hardly a suppression list: nothing was sent or appended") as failed:
        sync(path, direction, max_rejected=1)

    assert path.read_text() == content
    assert changes() == []
    assert "ana" not in str(failed.value).lower()


def test_a_reason_that_several_lines_have_is_said_once(path: Path) -> None:
    path.write_text("a;b\n" * 7 + "www\n")

    with pytest.raises(AirflowFailException, match="8 of 8 entries") as failed:
        sync(path)

    assert str(failed.value).count("several cells") == 1
    assert "and nothing else. The same in line 2, 3, 4, 5. Most of it" in str(failed.value)


def test_a_parquet_file_is_not_a_text_file_whatever_its_name_says(tmp_path: Path, sandbox: Sandbox) -> None:
    path = tmp_path / "suppressed.parquet"
    path.write_bytes(b"PAR1\0\0\0\0PAR1")

    for direction in DIRECTIONS:
        with pytest.raises(AirflowFailException, match="a Parquet file: suppression lists are read from text files"):
            sync(path, direction)

    assert not sandbox.requests
    with pytest.raises(InvalidInputError, match="a Parquet file: suppression lists are read from text files"):
        read_suppressions(path)


def test_an_empty_file_is_a_warning(path: Path, task_log: Callable[[], list[str]]) -> None:
    path.write_text("email\n")

    assert counts(sync(path, "to_salesblink")) == {}
    assert "Your list is empty. Check what writes it." in task_log()


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


# Faults


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


FULL = """
import resource, signal, sys
from airflow_provider_salesblink.operators.files import append_lines
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
append_lines(sys.argv[1], [f"theirs{number}@example.com" for number in range(100)], "path")
"""


def test_a_full_disk_leaves_no_half_line(path: Path) -> None:
    path.write_text("ana@example.com\n")

    done = subprocess.run([sys.executable, "-c", FULL, str(path)], cwd=ROOT, capture_output=True, text=True)

    assert "File too large" in done.stderr
    assert path.read_text() == "ana@example.com\n"


# A list in a table


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a function that runs a statement in the database of the connection ``warehouse``."""
    database = tmp_path / "warehouse.sqlite"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(database)}))

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(database)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    run("CREATE TABLE suppressed (entry TEXT UNIQUE, since TEXT)")
    return run


SELECT = "SELECT entry, since FROM suppressed ORDER BY rowid"
SELECT_SINCE = "SELECT entry FROM suppressed WHERE since = "
INSERT = "INSERT INTO suppressed (entry) VALUES (?)"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_table_is_a_list_too(direction: str, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]) -> None:
    for entry in ("ana@example.com", "Example.org", None, " ", sha256("cy@example.com")):
        table("INSERT INTO suppressed VALUES (?, '2026-11-26')", entry)
    sandbox.block("bo@example.com", "cy@example.com")
    writes_back = {} if direction == "to_salesblink" else {"insert_sql": INSERT}

    result = sync(None, direction, sql=SELECT, sql_conn_id="warehouse", **writes_back)

    sent = {} if direction == "from_salesblink" else {"sent": 2}
    appended = {"appended": 1} if writes_back else {}
    assert counts(result) == {"entries": 3, "there": 1, **sent, **appended}
    assert sorted(sandbox.blocked()) == sorted(
        ["bo@example.com", "cy@example.com"] + ["ana@example.com", "example.org"] * bool(sent)
    )
    assert [entry for (entry,) in table("SELECT entry FROM suppressed ORDER BY rowid")][5:] == [
        "bo@example.com"
    ] * bool(appended)
    again = sync(None, direction, sql=SELECT, sql_conn_id="warehouse", **writes_back)
    assert counts(again).keys() <= {"entries", "there"}


@pytest.mark.parametrize("parameters", [["2026"], '["2026"]', {"since": "2026"}, '{"since": "2026"}'])
def test_a_query_may_have_parameters(
    parameters: Any, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    table("INSERT INTO suppressed VALUES ('ana@example.com', '2026'), ('bo@example.com', '2025')")
    mark = ":since" if "since" in parameters else "?"

    sync(
        None, "to_salesblink", sql=f"{SELECT_SINCE}{mark}", sql_conn_id="warehouse",
        sql_parameters=parameters,
    )  # fmt: skip

    assert sandbox.blocked() == ["ana@example.com"]


def test_rows_that_are_not_entries_are_rejected_by_their_number(table: Callable[..., list[tuple[Any, ...]]]) -> None:
    table("INSERT INTO suppressed VALUES ('email', ''), (NULL, ''), ('7', '')")

    with pytest.raises(AirflowFailException, match=r"2 of 2 entries .* Row 1 is not .* The same in row 3\."):
        sync(None, "to_salesblink", sql=SELECT, sql_conn_id="warehouse")


def test_without_a_table_nothing_is_sent(sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]) -> None:
    table("DROP TABLE suppressed")

    with pytest.raises(AirflowFailException, match="no such table: suppressed"):
        sync(None, "to_salesblink", sql=SELECT, sql_conn_id="warehouse")

    assert not sandbox.requests


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("WITH x AS (SELECT 1) DELETE FROM suppressed RETURNING entry", "sql has DELETE in it, so it writes"),
        ("PRAGMA user_version = 7", "sql begins with PRAGMA, so it is not a query"),
    ],
)
def test_the_query_of_a_list_does_not_write(
    query: str, says: str, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    table("INSERT INTO suppressed VALUES ('ana@example.com', '2026')")

    with pytest.raises(AirflowFailException, match=says):
        sync(None, "both", sql=query, sql_conn_id="warehouse", insert_sql=INSERT)

    assert table("SELECT entry FROM suppressed") == [("ana@example.com",)]
    assert table("PRAGMA user_version") == [(0,)]
    assert not sandbox.requests


def test_an_insert_whose_placeholders_do_not_fit_says_how_to_write_them(
    sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    sandbox.block("ana@example.com")
    says = r"The statement of insert_sql needs one placeholder, for the entry: use \? for this database\. Nothing was"

    for statement in ("INSERT INTO suppressed VALUES (?, ?)", "INSERT INTO suppressed (entry) VALUES (%s)"):
        with pytest.raises(AirflowFailException, match=says):
            sync(None, "both", sql=SELECT, sql_conn_id="warehouse", insert_sql=statement)

    assert table(SELECT) == []


def test_an_error_of_the_database_shows_no_address_and_keeps_nothing(
    sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    sandbox.block("ana@example.com", "bo@example.com")
    table("CREATE TRIGGER no BEFORE INSERT ON suppressed WHEN NEW.entry LIKE 'bo@%' "
          "BEGIN SELECT RAISE(ABORT, 'Key (entry)=(bo@example.com) is refused'); END")  # fmt: skip

    with pytest.raises(AirflowFailException, match=r"The insert failed \(IntegrityError\)") as failed:
        sync(None, "both", sql=SELECT, sql_conn_id="warehouse", insert_sql=INSERT)

    assert "bo@" not in str(failed.value)
    assert table(SELECT) == []


def test_a_table_of_postgresql(sandbox: Sandbox, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(postgres.airflow_connection()))
    own = ", ".join(f"('p{number}@example.com')" for number in range(1500))
    postgres.run("DROP TABLE IF EXISTS suppressed", "CREATE TABLE suppressed (entry text UNIQUE)",
                 f"INSERT INTO suppressed VALUES {own}")  # noqa: S608  # fmt: skip
    sandbox.block("P7@example.com", "ana@example.com", "example.org")
    arguments = {"sql": "SELECT entry FROM suppressed", "insert_sql": "INSERT INTO suppressed VALUES (%s)"}

    first = sync(None, "both", sql_conn_id="warehouse", **arguments)
    second = sync(None, "both", sql_conn_id="warehouse", **arguments)

    assert counts(first) == {"entries": 1500, "there": 1, "sent": 1499, "appended": 2}
    assert counts(second) == {"entries": 1502, "there": 1502}
    assert postgres.run("SELECT entry FROM suppressed WHERE entry NOT LIKE 'p%' ORDER BY entry") == [
        ("ana@example.com",),
        ("example.org",),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "exactly one of path or sql; got neither"),
        ({"path": "list.txt", "sql": SELECT}, "exactly one of path or sql; got both"),
        ({"sql": SELECT, "insert_sql": INSERT}, "sql needs sql_conn_id"),
        ({"sql": SELECT, "sql_conn_id": "nothing", "insert_sql": INSERT}, "There is no connection 'nothing'"),
        ({"path": "list.txt", "sql_conn_id": "warehouse"}, "are for a list that sql reads"),
        ({"sql": "", "sql_conn_id": "warehouse", "insert_sql": INSERT}, "sql is empty"),
        ({"sql": SELECT, "sql_conn_id": "warehouse"}, "Pass insert_sql, .* or direction="),
        ({"sql": SELECT, "sql_conn_id": "warehouse", "insert_sql": INSERT, "sql_parameters": "x"}, "sql_parameters is"),
        ({"sql": "DELETE FROM suppressed", "sql_conn_id": "warehouse", "insert_sql": INSERT}, "begins with DELETE"),
        ({"path": ""}, "path is ''"),
        ({"path": "None"}, "path is 'None'"),
        ({"path": "."}, "path is a folder"),
        ({"path": 1.5}, "path"),
        ({"path": "list.txt", "max_rejected": -1}, "max_rejected"),
    ],
)
def test_wrong_arguments_fail_before_anything_is_sent(
    arguments: dict[str, Any], says: str, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    table("INSERT INTO suppressed VALUES ('ana@example.com', '')")

    with pytest.raises(AirflowFailException, match=says):
        sync(**arguments)

    assert not sandbox.requests
    assert len(table(SELECT)) == 1


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
