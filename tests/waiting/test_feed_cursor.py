"""Which events of a feed are new, and what is remembered of those that were reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_salesblink.waiting import feed_cursor
from airflow_provider_salesblink.waiting.changes import short_hash
from airflow_provider_salesblink.waiting.feed_cursor import FEED_SHELVES, FeedCursor, FeedEvent, FoundEvents

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

DAY = 24 * 3600 * 1000
NOW = 1_795_000_000_000
LARGEST = 65_536
"""Bytes that Airflow's store is meant for in one value."""


def happened(name: object, time: int) -> FeedEvent:
    return FeedEvent(
        time, {"event": "opened", "prospect_id": None, "key": short_hash(str(name), 12), "person": str(name)}
    )


def poll(cursor: FeedCursor, events: Iterable[FeedEvent], now: int = NOW) -> list[Any]:
    """Poll a feed that shows these events; return those that are reported."""
    found = FoundEvents(now)
    for event in events:
        if cursor.is_new(event.time, event.key, now):
            found.add(event)
    return [change["person"] for change in cursor.advance(found)]


def stored(cursor: FeedCursor, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what Airflow's store then holds."""
    return {**(before or {}), **json.loads(json.dumps(cursor.unsaved()))}


def test_an_event_is_reported_once_however_late_it_arrives_within_the_lookback() -> None:
    cursor = FeedCursor(DAY)
    assert poll(cursor, [happened("a", NOW - 10)]) == ["a"]

    late = [happened("b", NOW - DAY + 1000), happened("c", NOW - DAY - 1)]

    assert poll(cursor, [happened("a", NOW - 10), *late], NOW + 500) == ["b"]
    assert poll(cursor, [happened("a", NOW - 10), *late], NOW + 900) == []


def test_an_event_in_the_future_is_reported_once_it_is_due() -> None:
    cursor = FeedCursor(DAY)
    future = [happened("f", NOW + 1000)]

    assert [poll(cursor, future, NOW + passed) for passed in (0, 999, 1000, 1001)] == [[], [], ["f"], []]


def test_after_a_break_the_lookback_counts_from_the_last_poll() -> None:
    cursor = FeedCursor(DAY)
    poll(cursor, [happened("a", NOW - 10)])
    again = FeedCursor(DAY, stored(cursor))

    shown = [happened("a", NOW - 10), happened("b", NOW - DAY + 1), happened("c", NOW + DAY)]

    assert poll(again, shown, NOW + 5 * DAY) == ["b", "c"]


def test_a_longer_lookback_does_not_report_again_what_the_shorter_one_forgot() -> None:
    cursor = FeedCursor(DAY)
    poll(cursor, [])
    longer = FeedCursor(3 * DAY, stored(cursor))

    shown = [happened("before", NOW - 2 * DAY), happened("late", NOW - DAY + 1)]

    assert poll(longer, shown, NOW + 1) == ["late"]
    assert poll(longer, [*shown, happened("later", NOW)], NOW + 2 * DAY) == ["later"]


def test_a_last_poll_in_the_future_counts_as_now() -> None:
    cursor = FeedCursor(DAY)
    poll(cursor, [], NOW + 5 * DAY)

    assert poll(cursor, [happened("a", NOW - 10)]) == ["a"]


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-40, 40)), max_size=60), st.integers(1, 20))
def test_each_event_is_reported_exactly_once_over_any_polls_and_restarts(
    arrivals: list[tuple[int, int]], restart_every: int
) -> None:
    # Event n arrives at a time, and happened up to 40 before or after it; the lookback covers all of that.
    cursor, kept = FeedCursor(45), {}
    reported: list[Any] = []
    for now in range(100):
        shown = [happened(n, NOW + at + offset) for n, (at, offset) in enumerate(arrivals) if at <= now]
        reported += poll(cursor, shown, NOW + now)
        kept = stored(cursor, kept)
        if now % restart_every == 0:
            cursor = FeedCursor(45, kept)

    assert sorted(reported, key=int) == [str(n) for n in range(len(arrivals))]


def test_what_is_too_old_to_be_read_again_is_forgotten() -> None:
    cursor, kept = FeedCursor(DAY), {}
    for day in range(30):
        now = NOW + day * DAY
        poll(cursor, [happened((day, number), now - number) for number in range(100)], now)
        kept = stored(cursor, kept)

    assert 100 <= sum(len(shelf) for name, shelf in kept.items() if name != "position") <= 400


def test_the_most_events_fit_into_airflows_store() -> None:
    cursor = FeedCursor(DAY)
    poll(cursor, (happened(number, NOW - number) for number in range(feed_cursor.MOST_EVENTS)))

    kept = cursor.unsaved()

    assert set(kept) == set(FEED_SHELVES)
    assert max(len(json.dumps(shelf)) for shelf in kept.values()) < LARGEST
    assert len(json.dumps(kept)) < 2_000_000
    cursor = FeedCursor(DAY, kept)
    assert poll(cursor, (happened(number, NOW - number) for number in range(feed_cursor.MOST_EVENTS)), NOW + 1) == []


def test_above_the_most_events_the_oldest_are_given_up_and_none_is_reported_twice(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feed_cursor, "MOST_EVENTS", 100)
    cursor = FeedCursor(DAY)
    many = [happened(number, NOW - number) for number in range(150)]

    assert len(poll(cursor, many)) == 150
    kept = stored(cursor)
    assert sum(len(shelf) for name, shelf in kept.items() if name != "position") == 100

    for each in (cursor, FeedCursor(DAY, kept)):
        assert poll(each, [*many, happened("late", NOW - 120), happened("newer", NOW - 50)], NOW + 1) == ["newer"]
    assert caplog.text.count("more than 100 events of one kind within the lookback") == 1


def test_a_poll_of_far_too_many_events_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_cursor, "MOST_EVENTS", 100)
    cursor = FeedCursor(DAY)
    many = [happened(number, NOW - number) for number in range(1000)]

    reported = poll(cursor, many)

    assert [str(number) for number in range(99, -1, -1)] == reported[-100:]
    assert len(reported) <= 200
    assert poll(cursor, many, NOW + 1) == []


def test_only_shelves_that_changed_are_stored_again() -> None:
    cursor = FeedCursor(DAY)
    poll(cursor, (happened(number, NOW - number) for number in range(1000)))
    cursor.unsaved()

    poll(cursor, [happened("a", NOW)], NOW + 1)

    assert len(cursor.unsaved()) == 2
    assert list(cursor.unsaved()) == ["position"]
