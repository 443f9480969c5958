"""The operator for any endpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.api import SalesBlinkApiOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


def read_lines(path: Path) -> list[Any]:
    """Return the records of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_pages_are_written_as_lines(sandbox: Sandbox, tmp_path: Path) -> None:
    names = [f"List {number:03}" for number in range(201)]
    for name in names:
        sandbox.add_list(name)
    path = tmp_path / "lists.jsonl"

    result = SalesBlinkApiOperator(task_id="t", endpoint="/lists", paging="offset", output_path=path).execute({})

    assert result == {"outcome": "found", "count": 201, "path": str(path)}
    assert sorted(each["name"] for each in read_lines(path)) == names


def test_without_a_path_only_the_count_is_returned(sandbox: Sandbox) -> None:
    for name in ("Spring", "Winter"):
        sandbox.add_list(name)

    result = SalesBlinkApiOperator(task_id="t", endpoint="/lists", paging="offset").execute({})

    assert result == {"outcome": "found", "count": 2}


@pytest.mark.parametrize(("paging", "warns"), [("offset", 0), ("page", 1), ("page_in_skip", 1)])
def test_the_wrong_kind_of_paging_is_named_in_a_warning(
    paging: Any, warns: int, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(201):
        sandbox.add_list(f"List {number}")

    result = SalesBlinkApiOperator(task_id="t", endpoint="/lists", paging=paging).execute({})

    named = [each.getMessage() for each in caplog.records if f"does not page as paging={paging!r} says" in each.message]
    assert len(named) == warns
    assert (result["count"] == 201) is (paging != "page")


@pytest.mark.parametrize("query", [{"search": "spring"}, '{"search": "spring"}'])
def test_a_query_is_sent(query: Any, sandbox: Sandbox) -> None:
    for name in ("Spring", "Winter"):
        sandbox.add_list(name)

    result = SalesBlinkApiOperator(task_id="t", endpoint="/lists", query=query, paging="offset").execute({})

    assert result["count"] == 1


def test_one_answer_is_one_line_and_not_in_xcom(sandbox: Sandbox, tmp_path: Path) -> None:
    list_id = sandbox.add_list("Spring")
    path = tmp_path / "list.jsonl"

    found = SalesBlinkApiOperator(task_id="t", endpoint=f"/lists/{list_id}", output_path=path).execute({})
    counted = SalesBlinkApiOperator(task_id="t", endpoint=f"/lists/{list_id}").execute({})

    assert found == {"outcome": "found", "count": 1, "path": str(path)}
    assert [(each["id"], each["name"]) for each in read_lines(path)] == [(list_id, "Spring")]
    assert counted == {"outcome": "found", "count": 1}


def test_a_write_is_sent(changes: Changes) -> None:
    result = SalesBlinkApiOperator(task_id="t", endpoint="/lists", method="POST", body={"name": "Spring"}).execute({})

    assert result == {"outcome": "done"}
    assert changes() == [("POST", "/lists", {"name": "Spring"})]


def test_a_body_may_be_json_text(sandbox: Sandbox) -> None:
    SalesBlinkApiOperator(task_id="t", endpoint="/lists", method="POST", body='{"name": "Spring"}').execute({})

    assert [each.name for each in sandbox.lists()] == ["Spring"]


def test_a_write_whose_answer_is_lost_fails_for_good(sandbox: Sandbox) -> None:
    sandbox.fault("v1.createList", "reset", when="after")

    with pytest.raises(AirflowFailException, match="its answer was lost"):
        SalesBlinkApiOperator(task_id="t", endpoint="/lists", method="POST", body={"name": "Spring"}).execute({})

    assert len(sandbox.lists()) == 1


def test_a_write_that_may_be_repeated_is(sandbox: Sandbox, changes: Changes) -> None:
    list_id = sandbox.add_list("Spring")
    sandbox.fault("v1.archiveList", "reset", when="after")

    result = SalesBlinkApiOperator(
        task_id="t", endpoint=f"/lists/{list_id}/archive", method="PUT", body={"archived": True}, repeatable=True
    ).execute({})

    assert result == {"outcome": "done"}
    assert len(changes()) == 2
    assert sandbox.lists()[0].archived


@pytest.mark.parametrize("endpoint", ["/unsubscribe", "unsubscribe", "/unsubscribe/"])
def test_the_blocklist_is_never_emptied(endpoint: str, sandbox: Sandbox, changes: Changes) -> None:
    sandbox.block("ana@example.com")

    with pytest.raises(AirflowFailException, match="blocklist"):
        SalesBlinkApiOperator(task_id="t", endpoint=endpoint, method="DELETE", repeatable=True).execute({})

    assert changes() == []
    assert sandbox.blocked() == ["ana@example.com"]


def test_a_dry_run_sends_no_write(sandbox: Sandbox, connection: Callable[..., None], changes: Changes) -> None:
    connection(extra={"dry_run": True})

    result = SalesBlinkApiOperator(task_id="t", endpoint="/lists", method="POST", body={"name": "Spring"}).execute({})

    assert result == {"outcome": "dry_run", "would_be": "done"}
    assert changes() == []
    assert not sandbox.lists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"body": {"a": 1}}, "A GET takes no body"),
        ({"method": "POST", "query": {"a": "1"}}, "A POST takes no query"),
        ({"method": "PUT", "paging": "page", "output_path": "x.jsonl"}, "A PUT takes no paging and no output_path"),
        ({"output_path": "None"}, "output_path is 'None'"),
        ({"endpoint": ""}, "endpoint is empty"),
        ({"endpoint": None}, "endpoint"),
        ({"query": ["search"]}, "query is not a dict"),
        ({"query": {1: "x"}}, "query is not a dict"),
        ({"method": "POST", "body": 7}, "body is not a dict"),
        ({"query": "search=x"}, "query is a text, but not the JSON"),
    ],
)
def test_a_bad_argument_fails_before_anything_is_sent(
    arguments: dict[str, Any], sentence: str, sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match=sentence):
        SalesBlinkApiOperator(task_id="t", **{"endpoint": "/lists", **arguments}).execute({})

    assert not sandbox.requests


@pytest.mark.parametrize(("argument", "value"), [("method", "get"), ("paging", "skip")])
def test_an_unknown_word_is_an_error_when_the_dag_is_parsed(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{argument} is '{value}'; it takes"):
        SalesBlinkApiOperator(task_id="t", endpoint="/lists", **{argument: value})


def test_an_unknown_endpoint_fails_the_task_for_good() -> None:
    with pytest.raises(AirflowFailException, match="404"):
        SalesBlinkApiOperator(task_id="t", endpoint="/nothing").execute({})


@pytest.mark.apis("classic")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_on_the_classic_api_the_task_fails_and_says_what_to_set(method: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="Set the connection's extra api_version to 'v1'"):
        SalesBlinkApiOperator(task_id="t", endpoint="/lists", method=method).execute({})

    assert not sandbox.requests
