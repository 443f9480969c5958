"""Sequences of the API v1: starting them once, and exporting their leads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    AmbiguousWriteError,
    InvalidInputError,
    SalesBlinkError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.v1 import csv_export
from tests.client.raw_server import Piece, Received, answer
from tests.client.v1.conftest import ok
from tests.client.v1.documented_calls import ANA, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.v1.conftest import NewResources, ScriptedResources

LOST: list[Piece] = ["reset"]


def methods(api: ScriptedResources) -> list[str]:
    return [request.method for request in api.server.requests]


def losing_first(*answers: Any) -> Callable[[Received], list[Piece]]:
    """Return a script that loses the first answer, and then sends these."""
    left: list[list[Piece]] = [LOST, *([answer(each)] for each in answers)]
    return lambda _: left.pop(0)


def test_starting_a_sequence_is_read_back_when_the_answer_is_lost(resources: NewResources) -> None:
    api = resources(script=losing_first(ok({"id": "s1", "paused": False})))

    assert api.sequences.set_status("s1", "ACTIVE") == {"sequence_id": "s1", "status": "ACTIVE"}
    assert methods(api) == ["POST", "GET"]


def test_starting_is_sent_again_only_if_the_sequence_is_still_paused(resources: NewResources) -> None:
    api = resources(
        script=losing_first(ok({"id": "s1", "paused": True}), ok({"sequence_id": "s1", "status": "ACTIVE"}))
    )

    assert api.sequences.set_status("s1", "active") == {"sequence_id": "s1", "status": "ACTIVE"}
    assert methods(api) == ["POST", "GET", "POST"]


def test_pausing_is_sent_again_at_once(resources: NewResources) -> None:
    api = resources(script=losing_first(ok()))

    assert api.sequences.set_status("s1", "paused") == {"sequence_id": "s1", "status": "PAUSED"}
    assert methods(api) == ["POST", "POST"]


def test_a_change_that_plans_no_mails_is_sent_again(resources: NewResources) -> None:
    api = resources(script=losing_first(ok()))

    assert api.sequences.update("s1", name="Autumn", starred=True) == {"id": "s1"}
    assert methods(api) == ["PATCH", "PATCH"]


def test_a_change_that_plans_mails_is_sent_once(resources: NewResources) -> None:
    api = resources(script=losing_first(ok()))

    with pytest.raises(AmbiguousWriteError):
        api.sequences.update("s1", name="Autumn", paused=False)
    assert methods(api) == ["PATCH"]


@pytest.mark.parametrize("status", ["running", "", "ACTIVE PAUSED", None])
def test_an_unknown_status_is_refused(resources: NewResources, status: Any) -> None:
    api = resources()

    with pytest.raises(InvalidInputError, match="status"):
        api.sequences.set_status("s1", status)
    assert api.server.requests == []


def test_a_copy_whose_answer_is_lost_is_not_made_again(resources: NewResources) -> None:
    api = resources(script=lambda _: LOST)

    with pytest.raises(AmbiguousWriteError):
        api.sequences.clone("s1")
    assert methods(api) == ["POST"]


def test_the_copys_id(resources: NewResources) -> None:
    assert resources(ok({"clonedSequenceId": "s2"})).sequences.clone("s1")["id"] == "s2"
    assert resources({"success": True}).sequences.clone("s1") == {"id": None}


def test_a_sequence_is_created_once_though_the_answer_is_lost(resources: NewResources) -> None:
    api = resources(script=losing_first(ok([{"id": "s0", "name": "Spring"}, {"id": "s1", "name": "Spring"}])))

    assert api.sequences.create(name="Spring", **SETTINGS, ignore_ids=["s0"])["id"] == "s1"
    assert methods(api) == ["POST", "GET"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"name": "Spring"},
        {**SETTINGS, "name": ""},
        {**SETTINGS, "name": "Spring", "scheduledAt": datetime(2026, 9, 1)},  # noqa: DTZ001
    ],
)
def test_settings_are_checked_before_they_are_sent(resources: NewResources, settings: dict[str, Any]) -> None:
    api = resources()

    with pytest.raises(InvalidInputError):
        api.sequences.create(**settings)
    assert api.server.requests == []


def test_the_leads_of_a_sequence_with_their_state(resources: NewResources) -> None:
    replied = {"lead_id": "p1", "email": ANA, "status": "replied", "last_task_time": 1788264000000}
    unknown = [{"lead_id": None, "email": f"{name}@example.com", "status": "contacted"} for name in ("bo", "cy")]
    found = list(resources(ok([replied, *unknown])).sequences.leads("s1"))

    assert [(each["id"], each["status"]) for each in found] == [
        ("p1", "replied"),
        (None, "contacted"),
        (None, "contacted"),
    ]
    assert found[0]["last_task_time"] == datetime(2026, 9, 1, 12, tzinfo=UTC)


def csv(text: str, kind: str = "text/csv") -> list[bytes]:
    content = text.encode()
    return [f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content]


def test_an_export_is_rows_of_text(resources: NewResources) -> None:
    text = '\ufeffemail,First Name,note\r\nana@example.com,Ana,"two\nlines, one cell"\r\n\r\nbo@example.com,,\r\n'

    assert list(resources(script=lambda _: csv(text)).sequences.export("s1")) == [
        {"email": "ana@example.com", "First Name": "Ana", "note": "two\nlines, one cell"},
        {"email": "bo@example.com", "First Name": "", "note": ""},
    ]


def test_an_export_with_only_a_heading_is_empty(resources: NewResources) -> None:
    assert list(resources(script=lambda _: csv("email,name\n")).sequences.export("s1")) == []


@pytest.mark.parametrize(
    "text",
    [
        "email,name\nana@example.com\n",
        "email,name\na,b,c\n",
        "email,email\na,b\n",
        'email,name\na,"b\n',
        'e,n\n"a"b,c\n',
    ],
)
def test_an_export_that_is_not_whole_is_an_error(resources: NewResources, text: str) -> None:
    rows = resources(script=lambda _: csv(text)).sequences.export("s1")

    with pytest.raises(UnreadableResponseError) as raised:
        list(rows)
    assert raised.value.path == "/api/public/v1.0.0/sequences/s1/export"
    assert "ana@" not in str(raised.value)


@pytest.mark.parametrize("text", ["<html>maintenance</html>", '{"success": false, "message": "no"}', ""])
def test_what_is_not_an_export_is_an_error(resources: NewResources, text: str) -> None:
    with pytest.raises(SalesBlinkError):
        list(resources(script=lambda _: csv(text)).sequences.export("s1"))


@pytest.mark.parametrize(("count", "warns"), [(csv_export.MOST_ROWS - 1, False), (csv_export.MOST_ROWS, True)])
def test_a_full_export_may_be_cut_off(
    resources: NewResources, caplog: pytest.LogCaptureFixture, count: int, warns: bool
) -> None:
    text = "email\n" + "".join(f"p{number}@example.com\n" for number in range(count))

    assert sum(1 for _ in resources(script=lambda _: csv(text)).sequences.export("s1")) == count
    assert ("leads may be missing" in caplog.text) is warns


def test_a_sequence_without_an_id_may_be_running(resources: NewResources) -> None:
    api = resources(ok([{"name": "Spring", "paused": False, "lists": ["l1"]}]))

    with pytest.raises(UnreadableResponseError, match="no id"):
        api.lists.running_sequences("l1")


@pytest.mark.parametrize("sequence_id", [{"_id": "s1"}, {"id": 1}], ids=["another name", "a number"])
def test_the_campaign_itself_is_not_another_one(resources: NewResources, sequence_id: dict[str, Any]) -> None:
    sequence = {**sequence_id, "name": "Spring", "paused": False, "lists": ["l1"]}
    api = resources(ok(sequence), ok([sequence]))

    api.prospects.check_list(str(next(iter(sequence_id.values()))))

    assert methods(api) == ["GET", "GET"]


@pytest.mark.parametrize("lists", [[{"name": "People"}], ["l1", None]], ids=str)
def test_lists_without_ids_are_not_taken_for_no_lists(resources: NewResources, lists: list[Any]) -> None:
    api = resources(ok({"id": "s1", "lists": lists}))

    with pytest.raises(UnreadableResponseError, match="does not show which lists"):
        api.prospects.check_list("s1")
