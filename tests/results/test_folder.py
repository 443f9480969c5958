"""Files that are replaced as a whole, on each kind of storage."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_salesblink.results.folder import Folder
from tests.results.extracting import END, NOW, add_events, extract, truth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = pytest.mark.apis("v1")

HOUR = timedelta(hours=1)


class BreakingStorage(MemoryFileSystem):
    """A storage that copies a file to move it, and may break in the middle of that."""

    protocol = "breaking"
    store: dict[str, Any] = {}  # noqa: RUF012  # fsspec's own form
    pseudo_dirs: list[str] = [""]  # noqa: RUF012
    moves_until_it_breaks = -1
    removes_before_moves = False

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        if self.removes_before_moves:
            self.rm_file(path1)
            self.pipe_file(path2, b"of another run")
        type(self).moves_until_it_breaks -= 1
        if type(self).moves_until_it_breaks == 0:
            content = self.cat_file(path1)
            self.pipe_file(path2, content[: len(content) // 2])
            raise OSError("the storage broke")
        super().cp_file(path1, path2, **kwargs)


@pytest.fixture
def storage() -> Iterator[BreakingStorage]:
    found = BreakingStorage(skip_instance_cache=True)
    yield found
    BreakingStorage.moves_until_it_breaks = -1
    found.store.clear()
    found.pseudo_dirs[:] = [""]


def lines(folder: Folder, name: str) -> list[bytes]:
    with folder.opened(name) as file:
        return file.read().splitlines()


def ids(folder: Folder) -> Counter[str]:
    names = [name for name in folder.names("sent") if not name.startswith("_")]
    return Counter(json.loads(line)["id"] for name in names for line in lines(folder, f"sent/{name}"))


def test_a_swap_that_breaks_is_finished_by_the_next_run(
    client: SalesBlinkClient, sandbox: Sandbox, storage: BreakingStorage
) -> None:
    folder = Folder(storage, "/events")
    broken = 0
    for moves in range(1, 30):
        add_events(sandbox, 4, every=9 * 3600 - moves)
        type(storage).moves_until_it_breaks = moves
        try:
            extract(client, folder, now=NOW + moves * HOUR)
        except OSError:
            broken += 1
        type(storage).moves_until_it_breaks = -1
        if not broken or moves > 8:
            break

    extract(client, folder, now=NOW + 40 * HOUR)
    assert broken >= 4
    assert ids(folder) == truth(sandbox.events, ["sent"], None, END)
    bookkeeping = ["_changed.json", "_cursor.json", "_extracted.json"]
    assert [name for name in folder.names("sent") if name.startswith("_")] == bookkeeping


def test_a_storage_that_cannot_swap_in_one_step_says_how_it_is_made_safe(
    client: SalesBlinkClient,
    sandbox: Sandbox,
    storage: BreakingStorage,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add_events(sandbox, 3)
    with caplog.at_level(logging.WARNING):
        extract(client, tmp_path)
        assert caplog.text == ""
        extract(client, Folder(storage, "/events"))

    assert "may not replace a file in one step" in caplog.text
    assert "the next run finishes it" in caplog.text.replace("\n", " ")


def test_brackets_in_a_path_are_no_pattern(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    add_events(sandbox, 3)
    folder = Folder(fsspec.filesystem("memory"), f"/{tmp_path.name} [prod]/ev*nts")

    extract(client, folder)

    assert ids(folder) == truth(sandbox.events, ["sent"], None, END)


def test_a_new_file_that_another_run_removed_is_an_error(storage: BreakingStorage) -> None:
    folder = Folder(storage, "/events")
    storage.removes_before_moves = True

    with pytest.raises(OSError, match=r"Another run removed a\.jsonl"):
        folder.replace("sent/a.jsonl", write_one)


def test_what_another_storage_has_is_the_same(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    add_events(sandbox, 50, every=3600)
    memory = Folder(fsspec.filesystem("memory"), f"/{tmp_path.name}")

    extract(client, tmp_path)
    extract(client, memory)
    extract(client, memory, now=NOW + HOUR)

    names = [name for name in memory.names("sent") if not name.startswith("_")]
    assert names == sorted(path.name for path in (tmp_path / "sent").glob("2*"))
    assert [lines(memory, f"sent/{name}") for name in names] == [
        (tmp_path / "sent" / name).read_bytes().splitlines() for name in names
    ]


def write_one(file: IO[bytes]) -> None:
    file.write(b"1\n")


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    folder = Folder(fsspec.filesystem("file"), str(tmp_path))
    folder.replace("sent/a.jsonl", write_one)

    def fail(file: Any) -> None:
        file.write(b"2\n")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        folder.replace("sent/a.jsonl", fail)

    assert lines(folder, "sent/a.jsonl") == [b"1"]
    assert folder.names("sent") == ["a.jsonl"]


def test_new_files_are_their_owners_only_and_others_keep_their_mode(tmp_path: Path) -> None:
    folder = Folder(fsspec.filesystem("file"), str(tmp_path))

    folder.replace("a", write_one)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    (tmp_path / "a").chmod(0o640)
    folder.replace("a", write_one)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_does_not_exist_has_no_files(tmp_path: Path) -> None:
    folder = Folder(fsspec.filesystem("file"), str(tmp_path / "new"))

    assert folder.names("sent") == []
    folder.repair("sent")
    with pytest.raises(FileNotFoundError), folder.opened("a"):
        pass
