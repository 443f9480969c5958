"""Events as rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from airflow_provider_salesblink.client.identity import AddressHash
from airflow_provider_salesblink.json_text import json_line
from airflow_provider_salesblink.results.events import COLUMNS, EventRows, is_of_feed

HASH = AddressHash("a key", api_key="k")
TIME = datetime(2026, 11, 25, 8, 15, 0, 123_000, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "id": "e1", "time": TIME, "type": "outreach", "message": "Clicked", "sequence": "s1", "sequence_name": "Spring",
    "email": "Ana@Example.com", "sender": "m1", "node": "n1", "template_name": "Hello", "link": "https://example.com/a",
    "lead": "l1", "score": 7,
}  # fmt: skip
SCHEMA = Draft202012Validator(
    json.loads((files("airflow_provider_salesblink") / "results" / "event.schema.json").read_text())
)


def row(event: dict[str, Any], feed: Any = "clicks", **options: Any) -> dict[str, Any]:
    return EventRows(HASH, **options).row(feed, event)


def test_a_row_has_the_declared_columns() -> None:
    found = row(EVENT)

    assert tuple(found) == COLUMNS
    assert found == {
        "id": "e1", "feed": "clicks", "time": "2026-11-25T08:15:00.123+00:00", "sequence_id": "s1",
        "sequence_name": "Spring", "lead_id": "l1", "person": HASH.digest("ana@example.com").hex(), "email": None,
        "message": "Clicked", "type": "outreach", "sender": "m1", "node": "n1", "template_name": "Hello",
        "link": "https://example.com/a", "body": None, "extra": {"score": 7},
    }  # fmt: skip
    SCHEMA.validate(found)


def test_the_schema_names_all_columns_and_no_others() -> None:
    assert tuple(SCHEMA.schema["properties"]) == COLUMNS
    assert SCHEMA.schema["required"] == list(COLUMNS)
    assert not SCHEMA.is_valid({**row(EVENT), "score": 7})


@pytest.mark.parametrize(
    ("people", "person", "email"),
    [("hash", True, None), ("address", True, "Ana@Example.com"), ("none", False, None)],
)
def test_people_are_shown_as_asked(people: Any, *, person: bool, email: str | None) -> None:
    found = row(EVENT, people=people)

    assert (found["person"] is not None, found["email"]) == (person, email)


ADDRESSED: dict[str, Any] = {
    **EVENT, "id": "ana@example.com-1", "sender": "bo@sender.example", "link": "https://x.example/?e=ana%40example.com",
    "node": "for ana@example.com", "template_name": "ana@example.com", "sequence_name": "ana@example.com",
    "body": "550 <ana@example.com> unknown", "lead": "ana@example.com", "message": "Bounced ana@example.com",
    "type": "ana@example.com", "sequence": "ana@example.com",
    "to": ["<ana@example.com>", {"ana@example.com": ["cc: ana@example.com", float("nan"), None, 1.5]}],
    "ana@example.com": True,
}  # fmt: skip


@pytest.mark.parametrize("people", ["hash", "none"])
@pytest.mark.parametrize("bodies", [True, False])
def test_no_address_is_in_any_column(people: Any, *, bodies: bool) -> None:
    text = json_line(row(ADDRESSED, people=people, bodies=bodies))

    assert "example.com" not in text.replace("x.example", "")
    assert "ana@" not in text.lower()
    assert "ana%40" not in text.lower()
    assert "bo@" not in text


@pytest.mark.parametrize(("name", "column"), [("sender", "sender"), ("id", "id"), ("lead", "lead_id")])
def test_ids_that_are_addresses_stay_apart(name: str, column: str) -> None:
    found = {row({**EVENT, name: each})[column] for each in ("a@x.example", "b@x.example", "A@X.example", "m1")}

    assert len(found) == 3


def test_with_addresses_everything_stays() -> None:
    found = row(ADDRESSED, people="address")

    assert (found["sender"], found["id"]) == ("bo@sender.example", "ana@example.com-1")
    assert found["extra"]["to"][0] == "<ana@example.com>"


def test_the_text_of_a_reply_is_left_out_unless_asked_for() -> None:
    reply = {**EVENT, "message": "Replied", "body": "Call me: 0123"}

    assert "0123" not in json_line(row(reply, "replies"))
    assert row(reply, "replies", bodies=True)["body"] == "Call me: 0123"
    assert row({**EVENT, "message": "Error", "body": "quota"}, "reports")["body"] == "quota"


@pytest.mark.parametrize("name", ["lead", "lead_id"])
@pytest.mark.parametrize("sequence", ["sequence", "sequence_id"])
def test_ids_are_found_under_each_name(name: str, sequence: str) -> None:
    event = {"id": 7, "time": TIME, name: "l1", sequence: "s1"}

    found = row(event)

    assert (found["id"], found["lead_id"], found["sequence_id"], found["extra"]) == ("7", "l1", "s1", {})


def test_a_value_of_another_form_is_kept_in_extra() -> None:
    found = row({**EVENT, "sender": {"id": "m1"}, "lead": ["l1"]})

    assert (found["sender"], found["lead_id"]) == (None, None)
    assert found["extra"] == {"sender": {"id": "m1"}, "lead": ["l1"], "score": 7}
    SCHEMA.validate(found)


def test_an_event_without_an_id_gets_the_same_one_each_time() -> None:
    event = {name: value for name, value in EVENT.items() if name != "id"}

    assert row(event)["id"] == row(dict(reversed(event.items())))["id"]
    assert row(event)["id"] != row({**event, "link": "https://example.com/b"})["id"]
    assert row(event, "opens")["id"] != row(event, "clicks")["id"]


def test_such_an_id_cannot_be_used_to_guess_addresses() -> None:
    event = {name: value for name, value in EVENT.items() if name != "id"}

    assert row(event)["id"] != EventRows(AddressHash("another key", api_key="k")).row("clicks", event)["id"]


def test_what_another_name_has_is_in_extra() -> None:
    event = {**EVENT, "sequence_id": "s2", "lead_id": {"id": 1}, "_id": "", "email": ["a@x.example"], "body": {"a": 1}}

    found = row(event, "clicks", bodies=True)

    assert (found["sequence_id"], found["lead_id"], found["id"]) == ("s2", "l1", "e1")
    assert found["extra"] == {
        "score": 7, "sequence": "s1", "lead_id": {"id": 1}, "_id": "", "email": ["<address>"], "body": {"a": 1},
    }  # fmt: skip


def test_an_unknown_report_has_no_body_unless_asked_for() -> None:
    reply = {**EVENT, "message": "Reply received", "body": "Call me: 0123"}

    assert "0123" not in json_line(row(reply, "reports"))
    assert row(reply, "reports", bodies=True)["body"] == "Call me: 0123"


@pytest.mark.parametrize(
    "hidden",
    ["https://t.example/?u=https%3A%2F%2Facme.example%2F%3Fe%3Dzoe%2540example.com", "zoe%252540example.com",
     "zoe&#64;example.com", "zoe&#x40;example.com", "zoe&commat;example.com", "zoe%EF%BC%A0example.com"],
)  # fmt: skip
def test_addresses_inside_urls_and_html_are_replaced(hidden: str) -> None:
    text = json_line(row({**EVENT, "link": hidden, "x": {hidden: hidden}}))

    assert "zoe" not in text


@pytest.mark.parametrize(
    ("message", "asked", "expected"),
    [
        ("Bounced", "Bounced", True), ("bounced", "Bounced", True), ("Sent", "Bounced", False),
        ("Error", "Bounced", False), ("Hard bounce", "Bounced", True), (None, "Bounced", True),
    ],
)  # fmt: skip
def test_reports_leave_out_what_other_feeds_have(message: str | None, asked: str, *, expected: bool) -> None:
    assert is_of_feed("reports", {"message": message}, asked) is expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


# In a new clone, the first text takes seconds: hypothesis then builds its table of characters.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(event=st.dictionaries(st.sampled_from([*EVENT, "_id", "body", "x"]), json_values), bodies=st.booleans())
def test_any_event_is_a_row_that_can_be_written(event: dict[str, Any], *, bodies: bool) -> None:
    event = {**event, "time": TIME if event.get("time") else None}

    found = row(event, "replies", bodies=bodies)

    read = json.loads(json_line(found))
    SCHEMA.validate(read)
    assert tuple(read) == COLUMNS
