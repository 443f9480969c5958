"""The figures of a report."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.results.figures import EventTally
from airflow_provider_salesblink.results.windows import Window
from tests.results.report_events import EVER, MONDAY, NOW, figures_of, row

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORTED = {"bounces": "Bounced", "unsubscribes": "Unsubscribed"}


def test_each_event_counts_as_what_happened() -> None:
    rows = [row(feed, number) for number, feed in enumerate(["sent", "sent", "sent", "opens", "clicks", "replies"])]
    rows += [row("reports", 10 + number, message=message) for number, message in enumerate(REPORTED.values())]
    rows += [row("reports", 20, message="Error"), row("reports", 21, message=None)]

    found = figures_of(*rows)

    expected = {"sent": 3, "opens": 1, "clicks": 1, "replies": 1, "bounces": 1, "unsubscribes": 1}
    assert found.total.events == Counter({**expected, "added": 3})
    assert found.days == {date(2026, 11, 2): Counter({**expected, "added": 3})}


def test_a_person_counts_once_and_an_event_each_time() -> None:
    rows = [row("sent", 1, person="ana"), row("sent", 2, person="ana", days=1), row("sent", 3, person="ben", days=1)]
    rows += [row("opens", number, person="ana", days=2) for number in range(4, 8)]

    found = figures_of(*rows)

    assert (found.total.events["sent"], found.total.events["opens"]) == (3, 4)
    assert found.total.people == Counter(sent=2, opens=1)
    assert [(day.day, counts["added"]) for day, counts in found.days.items()] == [(2, 1), (3, 1), (4, 0)]


def test_an_event_that_is_in_two_files_counts_once() -> None:
    assert figures_of(row("sent", 1), row("sent", 1), row("opens", 1)).total.events == Counter(sent=1, opens=1, added=1)


def test_people_are_known_by_hash_else_by_lead_else_by_address() -> None:
    known = {"person": None, "lead_id": None, "email": None}
    rows = [row("sent", 1, person="h1"), row("sent", 2, **known | {"lead_id": "l1"})]
    rows += [row("sent", 3, **known | {"email": "ana@example.com"}), row("sent", 4, **known)]

    found = figures_of(*rows)

    assert found.total.people == Counter(sent=3)
    assert found.nameless == 1


def test_without_people_only_events_are_counted() -> None:
    found = figures_of(row("sent", 1, person=None), row("sent", 2, person=None))

    assert found.total.people is None
    assert found.added is None
    assert found.total.events == Counter(sent=2)


def test_only_the_window_and_the_campaign_count() -> None:
    rows = [row("sent", number, days=number) for number in range(5)] + [row("sent", 9, days=1, sequence_id="c2")]

    found = figures_of(*rows, window=Window(MONDAY + timedelta(days=1), MONDAY + timedelta(days=3)), campaign_id="c1")

    assert [day.day for day in found.days] == [3, 4]
    assert found.newest == MONDAY + timedelta(days=2)
    assert [group.id for group in found.campaigns] == ["c1"]


def test_events_of_the_future_and_without_a_time_are_left_out_and_counted_apart() -> None:
    ahead = row("opens", 2, time=NOW + timedelta(hours=18))
    undated = {**row("opens", 3), "time": None}
    rows = [row("sent", 1), ahead, undated]

    found = figures_of(*rows)

    assert (found.future, found.undated) == (1, 1)
    assert found.total.events["opens"] == 0
    assert found.newest == MONDAY
    assert figures_of(*rows, now=NOW + timedelta(days=1)).total.events["opens"] == 1
    assert figures_of(*rows, window=Window(None, NOW)).future == 0


def test_campaigns_have_their_newest_name_and_the_largest_is_first() -> None:
    rows = [row("sent", number, sequence_id="c2", sequence_name=f"Name {number}", days=number) for number in (1, 2, 0)]

    found = figures_of(row("sent", 9), *rows, row("opens", 10, sequence_id=None))

    assert [(group.id, group.name) for group in found.campaigns] == [("c2", "Name 2"), ("c1", "Spring"), (None, "")]


def test_a_mailbox_that_is_named_by_an_address_is_shown_as_its_hash() -> None:
    rows = [row("sent", 1, sender="me@example.com"), row("sent", 2), row("sent", 3, sender=None)]

    found = figures_of(*rows)

    (hashed,) = {group.id for group in found.mailboxes} - {"m1", None}
    assert hashed is not None
    assert len(hashed) == 64
    assert "@" not in str(found.mailboxes)


def test_a_name_loses_addresses_control_characters_and_what_is_too_long() -> None:
    names = ["to ana@example.com", "two\nlines\x00", "x" * 1_000_000, "half \ud800 pair"]
    rows = [row("sent", number, sequence_id=f"c{number}", sequence_name=name) for number, name in enumerate(names)]

    shown = {group.id: group.name for group in figures_of(*rows).campaigns}

    assert shown["c0"] == "to <address>"
    assert shown["c1"] == "two lines"
    assert len(shown["c2"]) == 161
    assert shown["c3"] == "half ? pair"


def test_people_added_come_from_outcomes_where_there_are_some() -> None:
    tally = EventTally(EVER, None, str)
    tally.add([row("sent", 1)], NOW)
    outcomes = [
        {"person": f"h{number}", "outcome": word, "prospect_id": None, "time": (MONDAY + timedelta(days=1)).isoformat()}
        for number, word in enumerate(["added", "added", "there", "rejected"])
    ]
    tally.add_outcomes([*outcomes, outcomes[0]])

    found = tally.figures({}, "outcomes")

    assert [(day.day, counts["added"]) for day, counts in found.days.items()] == [(2, 0), (3, 2)]
    assert found.total.people == Counter(sent=1)
    assert [(group.id, group.events) for group in found.campaigns] == [("c1", Counter(sent=1))]
    tally.close()


def test_nothing_is_counted_without_events() -> None:
    found = figures_of()

    assert found.is_empty
    assert found.newest is None
    assert found.total.events == Counter()


def test_memory_does_not_grow_with_the_number_of_events() -> None:
    assert _peak(40_000) < 1.2 * _peak(10_000)


def _peak(count: int) -> int:
    def rows() -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield row("sent", number, days=number % 20)

    tally = EventTally(EVER, None, str)
    tracemalloc.start()
    try:
        tally.add(rows(), NOW)
        assert tally.figures({}, "first_mails").total.people == Counter(sent=count)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        tally.close()


@pytest.mark.parametrize("time", ["yesterday", 5, "2026-11-02T09:00:00"])
def test_a_time_that_is_not_one_is_an_error(time: Any) -> None:
    with pytest.raises(InvalidInputError, match="not ISO text with a time zone"):
        figures_of({**row("sent", 1), "time": time})
