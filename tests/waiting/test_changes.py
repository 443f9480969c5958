"""What is new from one look to the next, and what is remembered of the looks before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.waiting.changes import KINDS, SHELVES, Change, Cursor, Snapshot, of_kinds

LARGEST = 65_536
"""Bytes that Airflow's store is meant for in one value."""


def person(id_: str | None, *, unsubscribed: bool | None = False, email: str | None = None, **fields: Any) -> Any:
    given = {"id": id_, "email": email, "campaign_id": "c1", "unsubscribed": unsubscribed}
    return {**given, "fields": fields, "raw": {}}


def look(*people: Any) -> Snapshot:
    snapshot = Snapshot()
    for each in people:
        snapshot.add(each)
    return snapshot


def begun(*people: Any) -> Cursor:
    cursor = Cursor()
    cursor.begin(look(*people))
    return cursor


def reported(cursor: Cursor, *people: Any) -> list[tuple[str, str]]:
    return [(change["event"], change["prospect_id"]) for change in cursor.advance(look(*people))]


def keys(changes: list[Change]) -> list[str]:
    return [change["key"] for change in changes]


def test_a_snapshot_holds_no_address_and_no_value() -> None:
    snapshot = look(person("p1", email="ana@example.com", Stage="Won", Score=12345), person("p2", unsubscribed=True))

    kept = json.dumps([snapshot.states, begun(person("p1", email="ana@example.com", Stage="Won")).unsaved()])

    assert list(snapshot.states) == ["p1", "p2"]
    assert not any(private in kept for private in ("ana", "@", "example", "Stage", "Won", "12345"))


def test_who_has_no_id_is_left_out() -> None:
    assert look(person(None, Stage="Won"), person("p1")).states.keys() == {"p1"}


def test_the_order_of_fields_is_no_change() -> None:
    assert look(person("p1", a=1, b=2)).states == look(person("p1", b=2, a=1)).states


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": 1, "b": None}, {}, {"a": [1]}, {"a": {"b": 1}}], ids=str)
def test_every_other_field_is_a_change(other: dict[str, Any]) -> None:
    assert reported(begun(person("p1", a=1)), person("p1", **other)) == [("changed", "p1")]


def test_another_address_is_a_change() -> None:
    assert reported(begun(person("p1", email="a@example.com")), person("p1", email="b@example.com")) == [
        ("changed", "p1")
    ]


def test_the_beginning_is_no_news() -> None:
    assert (
        reported(begun(person("p1"), person("p2", unsubscribed=True)), person("p1"), person("p2", unsubscribed=True))
        == []
    )


@pytest.mark.parametrize(
    ("now", "events"),
    [
        (person("p1", a=1), []),
        (person("p1", a=2), ["changed"]),
        (person("p1", a=1, unsubscribed=True), ["unsubscribed"]),
        (person("p1", a=2, unsubscribed=True), ["changed", "unsubscribed"]),
        (person("p1", a=1, unsubscribed=None), []),
        (person("p2", unsubscribed=False), ["appeared"]),
        (person("p2", unsubscribed=True), ["appeared", "unsubscribed"]),
    ],
)
def test_what_is_new(now: Any, events: list[str]) -> None:
    cursor = begun(person("p1", a=1))

    assert [event for event, _ in reported(cursor, now)] == events
    assert reported(cursor, now) == [], "it is known afterwards"


def test_a_change_taken_back_and_made_again_has_another_key() -> None:
    cursor = begun(person("p1", a=1))

    changes = [change for value in (2, 1, 2, 1) for change in cursor.advance(look(person("p1", a=value)))]

    assert [change["event"] for change in changes] == ["changed"] * 4
    assert len(set(keys(changes))) == 4


def test_a_person_who_comes_back_to_the_list_is_not_reported_twice() -> None:
    cursor = begun(person("p1", unsubscribed=True))

    assert reported(cursor) == []
    assert reported(cursor, person("p1", unsubscribed=True)) == []


def test_keys_are_of_the_change_and_nothing_else() -> None:
    first, second = (begun(person("p0")) for _ in range(2))
    alone = list(first.advance(look(person("p1", unsubscribed=True))))
    among = list(second.advance(look(person("p3"), person("p1", unsubscribed=True), person("p2"))))

    assert keys(alone) == keys([change for change in among if change["prospect_id"] == "p1"])
    assert len(set(keys(among))) == len(among)


def test_only_the_wanted_kinds() -> None:
    for kind in KINDS:
        cursor = begun(person("p1"))
        changes = cursor.advance(look(person("p1", a=2, unsubscribed=True), person("p2")))
        assert [change["event"] for change in of_kinds(changes, [kind])] == [kind]


def test_what_is_not_saved_yet_is_what_changed_since() -> None:
    people = [person(f"p{number}") for number in range(500)]
    cursor = begun(*people)

    first = cursor.unsaved()
    assert set(first) <= set(SHELVES)
    assert sum(map(len, first.values())) == 500
    assert cursor.unsaved() == {}

    assert reported(cursor, *people) == []
    assert cursor.unsaved() == {}

    assert reported(cursor, *people[:-1], person("p499", a=1)) == [("changed", "p499")]
    (shelf,) = cursor.unsaved().items()
    assert shelf[1].keys() == first[shelf[0]].keys()
    assert shelf[1]["p499"] != first[shelf[0]]["p499"]


EVENTFUL = st.lists(
    st.dictionaries(
        st.sampled_from([f"p{number}" for number in range(5)]),
        st.tuples(st.integers(0, 2), st.booleans()),
    ),
    max_size=8,
)
"""Looks: who is there, with which field and whether unsubscribed."""


def as_snapshot(people: dict[str, tuple[int, bool]]) -> Snapshot:
    return look(*(person(id_, a=a, unsubscribed=out) for id_, (a, out) in people.items()))


@given(EVENTFUL)
def test_what_is_saved_is_as_good_as_the_original(looks: list[dict[str, tuple[int, bool]]]) -> None:
    cursor, saved = Cursor(), {}
    for people in looks:
        restored = Cursor(json.loads(json.dumps(saved)))
        assert list(restored.advance(as_snapshot(people))) == list(cursor.advance(as_snapshot(people)))
        saved.update(cursor.unsaved())


@given(EVENTFUL, st.data())
def test_repeats_from_an_older_state_have_the_same_keys(
    looks: list[dict[str, tuple[int, bool]]], data: st.DataObject
) -> None:
    older = data.draw(st.integers(0, len(looks)))
    cursor, saved = Cursor(), {}
    for people in looks[:older]:
        list(cursor.advance(as_snapshot(people)))
    saved.update(cursor.unsaved())
    restored = Cursor(saved)

    for people in looks[older:]:
        assert list(restored.advance(as_snapshot(people))) == list(cursor.advance(as_snapshot(people)))


@given(EVENTFUL)
def test_nobody_appears_twice_and_no_change_shares_a_key(looks: list[dict[str, tuple[int, bool]]]) -> None:
    cursor = Cursor()
    changes = [change for people in looks for change in cursor.advance(as_snapshot(people))]
    once = [change for change in changes if change["event"] != "unsubscribed"]

    assert len({change["prospect_id"] for change in once if change["event"] == "appeared"}) == len(
        [change for change in once if change["event"] == "appeared"]
    )
    assert len(set(keys(once))) == len(once)


@pytest.mark.parametrize("id_form", ["{:024x}", "{:08x}-0000-4000-8000-000000000000"])
def test_a_hundred_thousand_people_fit_on_the_shelves(id_form: str) -> None:
    cursor = Cursor()
    cursor.begin(look(*(person(id_form.format(number), unsubscribed=True) for number in range(100_000))))

    shelves = cursor.unsaved()

    assert len(shelves) == len(SHELVES)
    assert max(len(json.dumps(shelf)) for shelf in shelves.values()) < LARGEST
