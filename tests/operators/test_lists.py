"""Operators for lead lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.lists import ArchiveListOperator, CreateListOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


def test_a_new_name_makes_a_list(sandbox: Sandbox) -> None:
    sandbox.add_list("Spring leads")

    result = CreateListOperator(task_id="t", name="Spring").execute({})

    (made,) = [each for each in sandbox.lists() if each.name == "Spring"]
    assert result == {"outcome": "created", "list_id": made.id}


@pytest.mark.parametrize("settings", [{"starred": True}, '{"starred": true}'])
def test_settings_travel_in_the_apis_own_names(settings: Any, changes: Changes) -> None:
    CreateListOperator(task_id="t", name="Spring", settings=settings).execute({})

    assert changes() == [("POST", "/lists", {"name": "Spring", "starred": True})]


def test_a_name_that_exists_makes_no_second_list(sandbox: Sandbox, changes: Changes) -> None:
    list_id = sandbox.add_list("Spring")

    result = CreateListOperator(task_id="t", name="Spring", settings={"starred": True}).execute({})

    assert result == {"outcome": "exists", "list_id": list_id}
    assert changes() == []


def test_running_again_makes_no_second_list(sandbox: Sandbox) -> None:
    operator = CreateListOperator(task_id="t", name="Spring")

    first, second = operator.execute({}), operator.execute({})

    assert (first["outcome"], second["outcome"]) == ("created", "exists")
    assert [each.id for each in sandbox.lists()] == [first["list_id"]] == [second["list_id"]]


def test_an_answer_lost_after_the_write_makes_no_second_list(sandbox: Sandbox) -> None:
    sandbox.fault("v1.createList", "reset", when="after")

    result = CreateListOperator(task_id="t", name="Spring").execute({})

    assert [each.id for each in sandbox.lists()] == [result["list_id"]]


def test_several_lists_of_the_name_fail_the_task_and_are_named(sandbox: Sandbox, changes: Changes) -> None:
    first, second = sandbox.add_list("Spring"), sandbox.add_list("Spring")

    with pytest.raises(AirflowFailException, match="2 lists are called 'Spring'") as refused:
        CreateListOperator(task_id="t", name="Spring").execute({})

    assert first in str(refused.value)
    assert second in str(refused.value)
    assert changes() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": ""}, "name is empty"),
        ({"name": ["Spring"]}, "name is a list"),
        ({"name": "Spring", "settings": {"name": "Winter"}}, "settings has a 'name'"),
        ({"name": "Spring", "settings": {1: "x"}}, "settings is not a dict of names"),
        ({"name": "Spring", "settings": ["starred"]}, "settings is not a dict of names"),
        ({"name": "Spring", "settings": "{'starred': True}"}, "settings is a text, but not the JSON"),
    ],
)
def test_a_bad_argument_fails_before_anything_is_sent(
    arguments: dict[str, Any], sentence: str, sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match=sentence):
        CreateListOperator(task_id="t", **arguments).execute({})

    assert not sandbox.requests


def test_a_dry_run_creates_nothing_and_says_so(
    sandbox: Sandbox, connection: Callable[..., None], changes: Changes
) -> None:
    connection(extra={"dry_run": True})

    result = CreateListOperator(task_id="t", name="Spring").execute({})

    assert result == {"outcome": "dry_run", "would_be": "created", "list_id": None}
    assert changes() == []
    assert not sandbox.lists()


def test_archiving_by_id(sandbox: Sandbox, task_log: Callable[[], list[str]]) -> None:
    list_id = sandbox.add_list("Spring")

    result = ArchiveListOperator(task_id="t", list_id=list_id).execute({})

    assert result == {"outcome": "archived", "list_id": list_id}
    assert sandbox.lists()[0].archived
    assert task_log()[0] == "If the list was active, archiving it has paused it."


def test_archiving_twice_is_archiving_once(sandbox: Sandbox) -> None:
    operator = ArchiveListOperator(task_id="t", list_id=sandbox.add_list("Spring"))

    assert operator.execute({}) == operator.execute({})


def test_archiving_by_name_means_the_one_list_that_has_it_in_full(sandbox: Sandbox) -> None:
    sandbox.add_list("Spring leads")
    spring = sandbox.add_list("Spring")

    result = ArchiveListOperator(task_id="t", list_name="Spring").execute({})

    assert result["list_id"] == spring
    assert [each.id for each in sandbox.lists() if each.archived] == [spring]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["Summer"], "No list is called 'Spring'. Pass its full name, or its id."),
        (["Spring leads"], "No list is called 'Spring'; similar: 'Spring leads'."),
        (["Spring", "Spring"], "2 lists are called 'Spring': "),
    ],
)
def test_a_name_of_no_list_or_of_two_archives_nothing(
    names: list[str], sentence: str, sandbox: Sandbox, changes: Changes
) -> None:
    for name in names:
        sandbox.add_list(name)

    with pytest.raises(AirflowFailException) as refused:
        ArchiveListOperator(task_id="t", list_name="Spring").execute({})

    assert sentence in str(refused.value)
    assert changes() == []


@pytest.mark.parametrize("given", [{}, {"list_id": "a", "list_name": "b"}])
def test_both_or_neither_of_id_and_name_is_an_error_before_anything_is_sent(
    given: dict[str, str], sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match="exactly one of list_id or list_name"):
        ArchiveListOperator(task_id="t", **given).execute({})

    assert not sandbox.requests


def test_a_dry_run_archives_nothing(sandbox: Sandbox, connection: Callable[..., None]) -> None:
    connection(extra={"dry_run": True})
    list_id = sandbox.add_list("Spring")

    result = ArchiveListOperator(task_id="t", list_id=list_id).execute({})

    assert result == {"outcome": "dry_run", "would_be": "archived", "list_id": list_id}
    assert not sandbox.lists()[0].archived


@pytest.mark.apis("classic")
@pytest.mark.parametrize(
    "task",
    [
        CreateListOperator(task_id="t", name="Spring"),
        ArchiveListOperator(task_id="t", list_id="l1"),
        ArchiveListOperator(task_id="t", list_name="Spring"),
    ],
)
def test_on_the_classic_api_the_task_fails_and_says_what_to_set(task: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="Set the connection's extra api_version to 'v1'"):
        task.execute({})

    assert not sandbox.requests
