"""Operators for the blocklist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.blocklist import BlockOperator, UnblockOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


@pytest.mark.parametrize(
    "entries",
    [
        ["ana@example.com", "example.org"],
        ("ana@example.com", "example.org"),
        '["ana@example.com", "example.org"]',
    ],
)
def test_blocking_addresses_and_domains(entries: Any, sandbox: Sandbox) -> None:
    result = BlockOperator(task_id="t", entries=entries).execute({})

    assert result == {"outcome": "blocked", "count": 2}
    assert sorted(sandbox.blocked()) == ["ana@example.com", "example.org"]


def test_one_entry_may_be_given_as_text(sandbox: Sandbox) -> None:
    result = BlockOperator(task_id="t", entries="ana@example.com").execute({})

    assert result == {"outcome": "blocked", "count": 1}
    assert sandbox.blocked() == ["ana@example.com"]


@pytest.mark.parametrize(
    "entries",
    [
        [], "[]", "", None, 7, {"email": "ana@example.com"}, ["ana@example.com", "ben@"], ["ana@example.com", ""],
        ["ana@example.com", "no domain"], ["ana@example.com", None], "['ana@example.com']",
    ],
)  # fmt: skip
def test_a_bad_entry_blocks_nothing_and_is_not_shown(entries: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="entries") as refused:
        BlockOperator(task_id="t", entries=entries).execute({})

    assert not sandbox.requests
    assert "ana@" not in str(refused.value)


def test_a_dry_run_blocks_nobody(sandbox: Sandbox, connection: Callable[..., None], changes: Changes) -> None:
    connection(extra={"dry_run": True})

    result = BlockOperator(task_id="t", entries=["example.org"]).execute({})

    assert result == {"outcome": "dry_run", "would_be": "blocked", "count": 1}
    assert changes() == []
    assert not sandbox.blocked()


@pytest.mark.parametrize("entry", ["ana@example.com", "Ana@Example.com", " ana@example.com "])
def test_unblocking_takes_one_entry_off_and_warns(
    entry: str, sandbox: Sandbox, task_log: Callable[[], list[str]]
) -> None:
    sandbox.block("ana@example.com", "mariana@example.com", "example.org")

    result = UnblockOperator(task_id="t", entry=entry).execute({})

    assert result == {"outcome": "unblocked"}
    assert sorted(sandbox.blocked()) == ["example.org", "mariana@example.com"]
    assert task_log()[0] == "The entry is off the blocklist: mail to it is possible again."


def test_unblocking_a_domain(sandbox: Sandbox) -> None:
    sandbox.block("example.org", "ana@example.org")

    assert UnblockOperator(task_id="t", entry="example.org").execute({}) == {"outcome": "unblocked"}
    assert sandbox.blocked() == ["ana@example.org"]


def test_an_entry_that_is_not_on_the_list_is_missing(
    sandbox: Sandbox, changes: Changes, task_log: Callable[[], list[str]]
) -> None:
    sandbox.block("mariana@example.com")

    result = UnblockOperator(task_id="t", entry="ana@example.com").execute({})

    assert result == {"outcome": "missing"}
    assert changes() == []
    assert task_log() == ["Outcome: missing."]


@pytest.mark.parametrize("entry", ["", "  ", None, ["ana@example.com"], "ana@", "ana@example.com,ben@example.com"])
def test_what_is_not_one_entry_fails_before_anything_is_sent(entry: Any, changes: Changes) -> None:
    with pytest.raises(AirflowFailException, match="entry"):
        UnblockOperator(task_id="t", entry=entry).execute({})

    assert changes() == []


def test_a_dry_run_unblocks_nobody(
    sandbox: Sandbox, connection: Callable[..., None], task_log: Callable[[], list[str]]
) -> None:
    connection(extra={"dry_run": True})
    sandbox.block("ana@example.com")

    result = UnblockOperator(task_id="t", entry="ana@example.com").execute({})

    assert result == {"outcome": "dry_run", "would_be": "unblocked"}
    assert sandbox.blocked() == ["ana@example.com"]
    assert "off the blocklist" not in " ".join(task_log())


@pytest.mark.apis("classic")
@pytest.mark.parametrize(
    "task",
    [BlockOperator(task_id="t", entries=["example.org"]), UnblockOperator(task_id="t", entry="example.org")],
)
def test_on_the_classic_api_the_task_fails_and_says_what_to_set(task: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="Set the connection's extra api_version to 'v1'"):
        task.execute({})

    assert not sandbox.requests
