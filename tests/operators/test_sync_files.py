"""A suppression list in a file that is brought together with SalesBlink's blocklist."""

from __future__ import annotations

import gzip
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading.suppressions import read_suppressions
from tests.conftest import GENERATION, ROOT
from tests.operators.syncs import DIRECTIONS, counts, sync

if GENERATION == 2:
    from airflow.io.store import attach
else:
    from airflow.sdk.io import attach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "suppressed.txt"


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
