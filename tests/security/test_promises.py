"""Each promise in SECURITY.md names its tests, and these tests exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", TEXT)


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def rows() -> list[str]:
    """Return the rows of the table of promises."""
    promises = TEXT.partition("## Fuzzing")[0]
    return [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| What")]


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_a_named_test_exists(path: str, test: str) -> None:
    assert not test or test in names_in(ROOT / path)
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("row", rows())
def test_a_promise_names_its_tests(row: str) -> None:
    assert re.search(r"`tests/[\w/]+\.py::test_\w+`|`tests/[\w/]+\.py`", row)


def test_there_are_promises() -> None:
    assert len(rows()) >= 12
    assert len(NAMED) >= 25


@pytest.mark.parametrize("path", sorted(each.name for each in Path(__file__).parent.glob("test_*.py")))
def test_every_test_of_this_folder_belongs_to_a_promise(path: str) -> None:
    assert path == Path(__file__).name or f"tests/security/{path}" in TEXT


def test_the_documented_limits_are_those_of_the_code() -> None:
    from airflow_provider_salesblink.client import http_transport, response_limits

    mib = 1024**2
    assert f"{http_transport.LONGEST_ACKNOWLEDGEMENT // mib} MiB" in TEXT
    assert f"{http_transport.LONGEST_READ // mib} MiB" in TEXT
    assert f"{http_transport.LONGEST_LIST // 1024**3} GiB" in TEXT
    assert f"{response_limits.PATIENCE} times the `timeout`" in TEXT
    assert f"{response_limits.SLOWEST // 1024} KiB a second" in TEXT
