"""The past that ``history`` gives to people: plausible, repeatable, partly late, partly in the future."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import History, Sandbox, SandboxUsageError
from airflow_provider_salesblink.sandbox.event_history import parse_histories
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES
from airflow_provider_salesblink.sandbox.v1 import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox.event_store import Event
    from tests.sandbox.conftest import Call

HOUR = 3600 * 1000
DAY = 24 * HOUR
FEEDS = {"sent": "Sent", "opens": "Opened", "clicks": "Clicked", "replies": "Replied"}


@pytest.fixture
def people(sandbox: Sandbox, campaign: str) -> list[str]:
    return [sandbox.add_person(campaign, {"Email": f"p{number}@example.com"}) for number in range(3)]


def now() -> int:
    return int(time.time() * 1000)


def past(sandbox: Sandbox) -> list[Event]:
    """Return the events of the history, without those of adding the people."""
    return [event for event in sandbox.events if "node" in event.extra]


def test_a_history_is_plausible(sandbox: Sandbox, people: list[str], campaign: str) -> None:
    began = now()

    sandbox.fill_events(History(events=3000, days=14, late=0, future=0))

    events = past(sandbox)
    counts = Counter(event.message for event in events)
    assert counts.total() == 3000
    assert {event.lead_id for event in events} == set(people)
    assert {event.sequence_id for event in events} == {campaign}
    assert {event.extra["sender"] for event in events} == {mailbox.id for mailbox in MAILBOXES}
    assert all(began - 14 * DAY <= event.time <= now() for event in events)
    assert counts["Sent"] > counts["Opened"] > counts["Clicked"] > counts["Replied"] > counts["Bounced"] > 0
    assert counts["Unsubscribed"] > 0 < counts["Error"]
    assert all(person.email and not person.unsubscribed for person in sandbox.people())


def test_the_api_shows_what_has_arrived(sandbox: Sandbox, call: Call, people: list[str]) -> None:
    sandbox.fill_events(History(events=1000, days=2, late=0.3, future=0.02))

    arrived = [event for event in sandbox.events if event.arrives <= now()]

    assert 100 < len(sandbox.events) - len(arrived) < 250
    assert len({event.id for event in sandbox.events}) == 1000 + len(people)
    for feed, message in FEEDS.items():
        wanted = {event.id for event in arrived if event.message == message}
        assert ids(call, feed) == wanted
    sandbox.advance(2 * 24 * 3600)
    for feed, message in FEEDS.items():
        assert ids(call, feed) == {event.id for event in sandbox.events if event.message == message}


def test_some_events_are_late_and_some_in_the_future(sandbox: Sandbox, people: list[str]) -> None:
    sandbox.fill_events(History(events=2000, late=0.1, future=0.05))

    late = [event.arrives - event.time for event in past(sandbox) if event.arrives > event.time]
    ahead = [event.time - now() for event in past(sandbox) if event.time > now()]

    assert 150 < len(late) < 250
    assert DAY < max(late) <= 2 * DAY
    assert 70 < len(ahead) < 130
    assert all(16 * HOUR < distance <= 18 * HOUR for distance in ahead)
    assert people


@pytest.mark.usefixtures("people")
def test_the_same_seed_gives_the_same_events_once(sandbox: Sandbox) -> None:
    def story() -> list[tuple[str, str]]:
        return [(event.id, event.message) for event in past(sandbox)]

    sandbox.fill_events(History(events=50))
    first = story()
    sandbox.fill_events(History(events=50))
    assert story() == first

    sandbox.fill_events(History(events=50), random_seed=1)
    assert len(story()) == 100


def test_a_history_needs_people(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxUsageError, match="need people with an address"):
        sandbox.life = "history"


def test_life_has_a_history_and_goes_on(sandbox: Sandbox, people: list[str]) -> None:
    sandbox.life = "history:events=20,reply:every=60"

    assert [str(habit) for habit in sandbox.life] == ["reply every 60 s"]
    assert len(sandbox.events) == 20 + len(people)


def test_a_sandbox_with_a_file_does_not_grow_when_it_starts_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Sandbox(db=tmp_path / "sandbox.db", seed="demo", life="history:events=500") as sandbox:
            assert len(past(sandbox)) == 500
            sandbox.happen("appear")


@pytest.mark.parametrize(
    ("text", "histories"),
    [
        ("calm, reply:every=1", []),
        ("history", [History(events=100_000, days=14, late=0.05, future=0.001)]),
        (" history:events=7:days=0.5:late=1:future=0,calm", [History(events=7, days=0.5, late=1, future=0)]),
    ],
)
def test_the_text_is_parsed(text: str, histories: list[History]) -> None:
    assert parse_histories(text) == histories


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("history:every=3", "Unknown option of history 'every'. Known: events, days, late, future"),
        ("history:events=1.5", "events must be a whole number, not '1.5'"),
        ("history:late=often", "late must be a number of at least 0, not 'often'"),
        ("history:days=0", "history: days must be more than 0"),
        ("history:late=0.7:future=0.4", "at most 1 together"),
    ],
)
def test_a_wrong_history_is_an_error(sandbox: Sandbox, text: str, message: str) -> None:
    with pytest.raises(SandboxUsageError) as caught:
        sandbox.life = text
    assert message in str(caught.value)


def test_a_negative_number_of_events_is_an_error() -> None:
    with pytest.raises(SandboxUsageError, match="events must be at least 0"):
        History(events=-1)


def ids(call: Call, feed: str) -> set[str]:
    """Return the ids on all pages of a feed."""
    found: list[dict[str, Any]] = []
    page = 1
    while events := call("GET", f"{PREFIX}/{feed}", params={"page": page}).json():
        found += events
        page += 1
    assert len(found) == len({event["id"] for event in found})
    return {event["id"] for event in found}
