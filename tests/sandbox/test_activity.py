"""Activity: the text form, every event as the API shows it, and when the schedule starts and stops."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Habit, Sandbox, SandboxUsageError
from airflow_provider_salesblink.sandbox.activity import EVENTS, PRESETS, parse_life
from airflow_provider_salesblink.sandbox.activity_scheduler import ActivityScheduler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.conftest import Call

OFTEN = "every=0.02"


def until(condition: Callable[[], Any], seconds: float = 5) -> Any:
    """Wait until ``condition`` returns something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)
    return found


def activity_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "salesblink-sandbox-life"]


# The text form


@pytest.mark.parametrize(
    ("text", "habits"),
    [
        ("", ()),
        (" , ", ()),
        ("unsubscribe:every=30", (Habit("unsubscribe", 30),)),
        (
            "unsubscribe:every=30x2, reply:every=0.5:after=0,pause:after=7:every=120",
            (Habit("unsubscribe", 30, times=2), Habit("reply", 0.5, after=0), Habit("pause", 120, after=7)),
        ),
        ("appear:every=1:after=10x3", (Habit("appear", 1, after=10, times=3),)),
        ("reply:every=1,reply:every=2", (Habit("reply", 1), Habit("reply", 2))),
        ("unpause:every=9,calm", (Habit("unpause", 9), *parse_life("calm"))),
    ],
)
def test_text_is_parsed(text: str, habits: tuple[Habit, ...]) -> None:
    assert parse_life(text) == habits


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_contains_every_event(preset: str) -> None:
    assert {habit.happening for habit in parse_life(f" {preset} ")} == set(EVENTS)


def test_busy_is_ten_times_calm() -> None:
    calm, busy = parse_life("calm"), parse_life("busy")

    assert [(slow.happening, slow.every, slow.first) for slow in calm] == [
        (quick.happening, quick.every * 10, quick.first * 10) for quick in busy
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sleep:every=3",
            "Unknown event 'sleep'. Known: reply, unsubscribe, pause, unpause, appear, open, click, bounce",
        ),
        ("reply:soon=3", "Unknown option of an event 'soon'. Known: every, after"),
        ("reply:20", "Unknown option of an event '20'. Known: every, after"),
        ("reply=20", "'reply=20'. Write event:every=seconds with one of the events: reply, unsubscribe, pause"),
        ("reply", "Event 'reply': needs every=..., the seconds"),
        ("replyx2", "Event 'replyx2': needs every=..., the seconds"),
        ("reply:after=3", "Event 'reply:after=3': needs every=..., the seconds"),
        ("reply:every=0", "Event 'reply': every must be longer than 0 seconds"),
        ("reply:every=often", "every must be a number of at least 0, not 'often'"),
        ("reply:every=", "every must be a number of at least 0, not ''"),
        ("reply:every=inf", "every must be a number of at least 0, not 'inf'"),
        ("reply:every=1:after=-1", "after must be a number of at least 0, not '-1'"),
        ("reply:every=1x0", "Event 'reply': the number of times must be at least 1"),
        (
            "calm:every=3",
            "Cannot parse the activity 'calm:every=3': calm takes no options. Write it out: reply:every=20",
        ),
        ("busyx2", "Cannot parse the activity 'busyx2': busy takes no options. Write it out: reply:every=2,"),
    ],
)
def test_an_error_lists_the_known_names(text: str, message: str) -> None:
    with pytest.raises(SandboxUsageError) as caught:
        parse_life(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"happening": "sleep", "every": 1}, "Unknown event 'sleep'"),
        ({"happening": "reply", "every": float("nan")}, "longer than 0"),
        ({"happening": "reply", "every": -1}, "longer than 0"),
        ({"happening": "reply", "every": 1, "after": -1}, "after must be at least 0"),
    ],
)
def test_a_habit_is_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxUsageError, match=message):
        Habit(**options)


# What the API returns


def test_reply_sets_the_time_in_the_replied_column(sandbox: Sandbox, call: Call, campaign: str) -> None:
    ana = sandbox.add_person(campaign, {"Email": "ana@example.com"})
    sandbox.add_person(campaign, {"Email": "eve@example.com"}, unsubscribed=True)
    sandbox.life = f"reply:{OFTEN}"

    shown = until(lambda: _prospect(call, ana).get("Replied"))

    assert abs((datetime.now(UTC) - datetime.fromisoformat(shown)).total_seconds()) < 10
    assert "Replied" not in sandbox.people()[1].fields


def test_unsubscribe_applies_to_everybody_once(sandbox: Sandbox, call: Call, campaign: str) -> None:
    people = [sandbox.add_person(campaign, {"Email": f"{number}@example.com"}) for number in range(3)]
    sandbox.life = f"unsubscribe:{OFTEN}"

    until(lambda: all(_prospect(call, person)["unsubscribed"] for person in people))

    assert sorted(event.id for event in sandbox.happened) == sorted(people)
    assert (sandbox.happen("unsubscribe"), sandbox.happen("reply")) == (None, None)


def test_a_campaign_is_paused_and_resumes(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.life = f"pause:{OFTEN}"
    until(lambda: _campaign(call, campaign)["paused"])

    sandbox.life = f"unpause:{OFTEN}"
    until(lambda: not _campaign(call, campaign)["paused"])

    assert [(event.happening, event.name) for event in sandbox.happened] == [
        ("pause", "Spring"),
        ("unpause", "Spring"),
    ]


def test_appear_adds_a_person(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.life = f"appear:{OFTEN}x1"

    (shown,) = until(lambda: call("GET", f"/api/prospects/{campaign}").json()["data"])

    assert shown["Email"].endswith("@example.com")
    assert shown["Email"].startswith(shown["First Name"].lower())
    (event,) = sandbox.happened
    assert (event.id, event.name) == (shown["prospectID"], shown["Email"])
    assert abs(event.at - time.time()) < 10


def test_activity_in_an_empty_sandbox_starts_once_there_is_a_campaign(sandbox: Sandbox, call: Call) -> None:
    sandbox.life = ",".join(f"{event}:every=0.01" for event in EVENTS)
    assert call("GET", "/api/campaigns").json()["data"] == []

    sandbox.add_campaign("Spring")

    until(lambda: {event.happening for event in sandbox.happened} == set(EVENTS))


# One at a time


@pytest.mark.parametrize("event", EVENTS)
def test_no_event_applies_in_an_empty_sandbox(sandbox: Sandbox, event: str) -> None:
    assert sandbox.happen(event) is None
    assert sandbox.happened == []


def test_an_event_happens_now_and_only_to_the_given_id(sandbox: Sandbox, call: Call, campaign: str) -> None:
    people = [sandbox.add_person(campaign, {"Email": f"{number}@example.com"}) for number in range(8)]
    other = sandbox.add_campaign("Autumn")

    for event, to in (("unsubscribe", people[5]), ("reply", people[2]), ("pause", other), ("appear", other)):
        sandbox.happen(event, to=to)

    assert [_prospect(call, person)["unsubscribed"] for person in people] == [number == 5 for number in range(8)]
    assert ["Replied" in _prospect(call, person) for person in people] == [number == 2 for number in range(8)]
    assert (_campaign(call, campaign)["paused"], _campaign(call, other)["paused"]) == (False, True)
    assert (len(sandbox.people(campaign)), len(sandbox.people(other))) == (8, 1)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_does_not_apply_to_an_unknown_id(sandbox: Sandbox, campaign: str, event: str) -> None:
    sandbox.add_campaign("Autumn", paused=True)
    sandbox.add_person(campaign, {"Email": "ana@example.com"})

    with pytest.raises(SandboxUsageError, match=f"'{event}' does not apply to 'nobody'. It means: "):
        sandbox.happen(event, to="nobody")
    assert sandbox.happened == []


@pytest.mark.parametrize(
    ("event", "to"), [("unsubscribe", "eve"), ("reply", "eve"), ("pause", "autumn"), ("unpause", "spring")]
)
def test_an_event_does_not_apply_where_its_state_is_reached_already(sandbox: Sandbox, event: str, to: str) -> None:
    sandbox.add_campaign("Autumn", paused=True, id="autumn")
    spring = sandbox.add_campaign("Spring", id="spring")
    ids = {"eve": sandbox.add_person(spring, {"Email": "eve@example.com"}, unsubscribed=True)}

    with pytest.raises(SandboxUsageError, match=f"'{event}' does not apply"):
        sandbox.happen(event, to=ids.get(to, to))
    happened = sandbox.happen(event)
    # A random event applies to the other one, if there is one.
    assert (happened.id if happened else None) == {"pause": "spring", "unpause": "autumn"}.get(event)


def test_an_unknown_event_lists_the_known_ones(sandbox: Sandbox) -> None:
    with pytest.raises(
        SandboxUsageError, match=r"Known: reply, unsubscribe, pause, unpause, appear, open, click, bounce$"
    ):
        sandbox.happen("sleep")


# Random seeds


def test_the_same_seed_gives_the_same_events() -> None:
    assert _story(1) == _story(1)
    assert _story(1) != _story(2)


def test_a_reset_restarts_the_random_sequence(sandbox: Sandbox) -> None:
    stories = []
    for _ in range(2):
        sandbox.reset()
        campaign = sandbox.add_campaign("Spring")
        stories.append([sandbox.happen("appear", to=campaign) for _ in range(5)])

    first, second = ([event.name for event in story if event] for story in stories)
    assert first == second
    assert len(set(first)) == 5


def test_people_who_appear_are_new_in_an_existing_file(tmp_path: Path) -> None:
    for _ in range(2):
        with Sandbox(db=tmp_path / "sandbox.db", seed="demo") as sandbox:
            for _ in range(3):
                sandbox.happen("appear", to="win-back")
            emails = [person.email for person in sandbox.people("win-back")]

    assert len(set(emails)) == len(emails) == 6


# The schedule


def test_activity_stops_after_the_given_number_of_times(sandbox: Sandbox, campaign: str) -> None:
    sandbox.life = "appear:every=0.01x3"

    until(lambda: not activity_threads())

    assert len(sandbox.people(campaign)) == 3


@pytest.mark.usefixtures("campaign")
def test_events_keep_their_interval(sandbox: Sandbox) -> None:
    sandbox.life = "appear:every=0.05x7"

    until(lambda: len(sandbox.happened) == 7)

    # 0.3 s, and room for a busy machine; a schedule that adds up its delays would take 1.35 s.
    assert sandbox.happened[-1].at - sandbox.happened[0].at < 1


def test_the_first_event_comes_after_its_delay(sandbox: Sandbox, campaign: str) -> None:
    sandbox.add_person(campaign, {"Email": "ana@example.com"})
    sandbox.life = "pause:every=60:after=0.02,reply:every=0.001:after=60,appear:every=0.05x2"

    until(lambda: len(sandbox.people()) == 3)

    assert [event.happening for event in sandbox.happened] == ["pause", "appear", "appear"]


def test_without_activity_there_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread.name), start(thread)))

    with Sandbox() as sandbox:
        sandbox.reset()
        sandbox.life = ""
        assert sandbox.life == ()

    assert started == ["salesblink-sandbox"]


def test_activity_starts_and_stops_with_the_sandbox() -> None:
    sandbox = Sandbox(seed="demo", life=[Habit("appear", 0.01)])
    assert activity_threads() == []

    with sandbox:
        until(lambda: sandbox.happened)
        (thread,) = activity_threads()
        happened = len(sandbox.happened)
        until(lambda: len(sandbox.happened) > happened)

    assert not thread.is_alive()


@pytest.mark.usefixtures("campaign")
@pytest.mark.parametrize("stop", [lambda sandbox: setattr(sandbox, "life", ""), Sandbox.reset])
def test_activity_can_be_stopped_while_the_sandbox_runs(
    sandbox: Sandbox, call: Call, stop: Callable[[Sandbox], None]
) -> None:
    sandbox.life = "appear:every=0.01"
    until(lambda: sandbox.happened)

    stop(sandbox)

    assert (sandbox.life, activity_threads()) == ((), [])
    assert call("GET", "/api/campaigns").status_code == 200


def test_a_reset_clears_the_events(sandbox: Sandbox, campaign: str) -> None:
    sandbox.happen("pause", to=campaign)

    sandbox.reset()

    assert sandbox.happened == []


@pytest.mark.usefixtures("campaign")
def test_a_new_schedule_replaces_the_first(sandbox: Sandbox) -> None:
    sandbox.life = "appear:every=0.01"
    until(sandbox.people)
    (first,) = activity_threads()

    sandbox.life = [Habit("reply", 0.01, times=500)]

    people = len(sandbox.people())
    assert (first.is_alive(), len(activity_threads())) == (False, 1)
    until(lambda: sandbox.happened[-1].happening == "reply")
    assert len(sandbox.people()) == people


@pytest.mark.usefixtures("campaign")
def test_an_invalid_schedule_leaves_the_current_one(sandbox: Sandbox) -> None:
    sandbox.life = "appear:every=0.01"

    with pytest.raises(SandboxUsageError, match="Unknown event"):
        sandbox.life = "sleep:every=1"

    assert sandbox.life == (Habit("appear", 0.01),)
    people = len(sandbox.people())
    until(lambda: len(sandbox.people()) > people)


def test_a_sandbox_with_invalid_activity_does_not_start() -> None:
    with pytest.raises(SandboxUsageError, match="Unknown event 'sleep'"):
        Sandbox(life="sleep:every=1")


def test_a_very_long_interval_is_accepted(sandbox: Sandbox) -> None:
    sandbox.life = "reply:every=1e300"
    (thread,) = activity_threads()

    thread.join(0.1)

    assert thread.is_alive()


def test_an_event_that_fails_is_logged_and_the_next_one_follows(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def generate(event: str) -> None:
        seen.append(event)
        if len(seen) == 1:
            raise OSError("disk full")

    scheduler = ActivityScheduler(generate)
    scheduler.schedule([Habit("reply", 0.01)])
    scheduler.start()
    until(lambda: len(seen) > 1)
    scheduler.stop()

    assert caplog.messages == ["The sandbox could not generate the event 'reply'"]
    assert "disk full" in caplog.text


def test_delayed_events_keep_their_order() -> None:
    seen: list[str] = []
    release = threading.Event()

    def generate(event: str) -> None:
        if seen:
            release.wait(5)
        seen.append(event)

    scheduler = ActivityScheduler(generate)
    scheduler.schedule([Habit("pause", 1 / 16, after=3 / 32, times=3), Habit("reply", 1 / 32, times=6)])
    scheduler.start()
    until(lambda: seen)
    threading.Event().wait(0.25)
    release.set()
    until(lambda: len(seen) == 9)
    scheduler.stop()

    # At the same time (3/32, 5/32), the habit listed first comes first.
    assert seen == ["reply", "reply", "pause", "reply", "reply", "pause", "reply", "reply", "pause"]


# The page


@pytest.mark.usefixtures("campaign")
def test_the_page_shows_the_schedule_and_the_events(sandbox: Sandbox, call: Call) -> None:
    sandbox.life = "reply:every=60,pause:every=120:after=90x3,unpause:every=0.5x1"
    for _ in range(60):
        sandbox.happen("appear")
    sandbox.happen("pause")

    state = call("GET", "/sandbox/state").json()

    assert state["life"] == [
        "reply every 60 s",
        "pause every 120 s, first after 90 s, 3 times",
        "unpause every 0.5 s, once",
    ]
    assert (len(state["happenings"]), state["happenings"][0]["name"]) == (50, "Spring")
    assert state["happenings"][0] == vars(sandbox.happened[-1])
    assert 'id="happenings"' in call("GET", "/").text


def _story(random_seed: int) -> list[tuple[str, str]]:
    """Return twenty scheduled events among the demo's people."""
    with Sandbox(seed="demo", random_seed=random_seed) as sandbox:
        sandbox.life = "appear:every=0.004x8,reply:every=0.005x6,unsubscribe:every=0.01x4,pause:every=0.015x2"
        until(lambda: len(sandbox.happened) == 20)
        return [(event.happening, event.name) for event in sandbox.happened]


def _prospect(call: Call, prospect_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = call("GET", f"/api/prospect/{prospect_id}").json()["data"]
    return shown


def _campaign(call: Call, campaign_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = call("GET", f"/api/campaign/{campaign_id}").json()["data"]
    return shown
