"""What happens by itself: the text form, every happening as the API shows it, and the clock's beginning and end."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Habit, Sandbox, SandboxUsageError
from airflow_provider_salesblink.sandbox.activity import HAPPENINGS, PRESETS, parse_life
from airflow_provider_salesblink.sandbox.activity_scheduler import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.conftest import Call

OFTEN = "every=0.02"


def until(condition: Callable[[], Any], seconds: float = 5) -> Any:
    """Return what ``condition`` says as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)
    return found


def clocks() -> list[threading.Thread]:
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
def test_what_is_read(text: str, habits: tuple[Habit, ...]) -> None:
    assert parse_life(text) == habits


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_the_whole_life(preset: str) -> None:
    assert {habit.happening for habit in parse_life(f" {preset} ")} == set(HAPPENINGS)


def test_busy_is_ten_times_calm() -> None:
    calm, busy = parse_life("calm"), parse_life("busy")

    assert [(slow.happening, slow.every, slow.first) for slow in calm] == [
        (quick.happening, quick.every * 10, quick.first * 10) for quick in busy
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sleep:every=3", "Unknown happening 'sleep'. Known: reply, unsubscribe, pause, unpause, appear, calm, busy"),
        ("reply:soon=3", "Unknown option of a happening 'soon'. Known: every, after"),
        ("reply:20", "Unknown option of a happening '20'. Known: every, after"),
        ("reply=20", "'reply=20'. Write happening:every=seconds, with a happening of: reply, unsubscribe, pause"),
        ("reply", "Happening 'reply': needs every=..., the seconds"),
        ("replyx2", "Happening 'replyx2': needs every=..., the seconds"),
        ("reply:after=3", "Happening 'reply:after=3': needs every=..., the seconds"),
        ("reply:every=0", "Happening 'reply': every must be longer than 0 seconds"),
        ("reply:every=often", "every must be a number of at least 0, not 'often'"),
        ("reply:every=", "every must be a number of at least 0, not ''"),
        ("reply:every=inf", "every must be a number of at least 0, not 'inf'"),
        ("reply:every=1:after=-1", "after must be a number of at least 0, not '-1'"),
        ("reply:every=1x0", "Happening 'reply': the number of times must be at least 1"),
        (
            "calm:every=3",
            "Cannot read the life 'calm:every=3': write calm alone, or what it stands for: reply:every=20",
        ),
        ("busyx2", "Cannot read the life 'busyx2': write busy alone, or what it stands for: reply:every=2,"),
    ],
)
def test_what_is_not_known_names_what_is(text: str, told: str) -> None:
    with pytest.raises(SandboxUsageError) as caught:
        parse_life(text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"happening": "sleep", "every": 1}, "Unknown happening 'sleep'"),
        ({"happening": "reply", "every": float("nan")}, "longer than 0"),
        ({"happening": "reply", "every": -1}, "longer than 0"),
        ({"happening": "reply", "every": 1, "after": -1}, "after must be at least 0"),
    ],
)
def test_a_habit_is_checked(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SandboxUsageError, match=told):
        Habit(**options)


# What the API shows


def test_somebody_replies(sandbox: Sandbox, call: Call, campaign: str) -> None:
    ana = sandbox.add_person(campaign, {"Email": "ana@example.com"})
    sandbox.add_person(campaign, {"Email": "eve@example.com"}, unsubscribed=True)
    sandbox.life = f"reply:{OFTEN}"

    shown = until(lambda: _prospect(call, ana).get("Replied"))

    assert abs((datetime.now(UTC) - datetime.fromisoformat(shown)).total_seconds()) < 10
    assert "Replied" not in sandbox.people()[1].fields


def test_everybody_opts_out_one_after_the_other_and_then_nobody(sandbox: Sandbox, call: Call, campaign: str) -> None:
    people = [sandbox.add_person(campaign, {"Email": f"{number}@example.com"}) for number in range(3)]
    sandbox.life = f"unsubscribe:{OFTEN}"

    until(lambda: all(_prospect(call, person)["unsubscribed"] for person in people))

    assert sorted(happening.id for happening in sandbox.happened) == sorted(people)
    assert (sandbox.happen("unsubscribe"), sandbox.happen("reply")) == (None, None)


def test_a_campaign_is_paused_and_runs_on(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.life = f"pause:{OFTEN}"
    until(lambda: _campaign(call, campaign)["paused"])

    sandbox.life = f"unpause:{OFTEN}"
    until(lambda: not _campaign(call, campaign)["paused"])

    assert [(happening.happening, happening.name) for happening in sandbox.happened] == [
        ("pause", "Spring"),
        ("unpause", "Spring"),
    ]


def test_somebody_appears(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.life = f"appear:{OFTEN}x1"

    (shown,) = until(lambda: call("GET", f"/api/prospects/{campaign}").json()["data"])

    assert shown["Email"].endswith("@example.com")
    assert shown["Email"].startswith(shown["First Name"].lower())
    (happening,) = sandbox.happened
    assert (happening.id, happening.name) == (shown["prospectID"], shown["Email"])
    assert abs(happening.at - time.time()) < 10


def test_a_life_with_nobody_in_it_waits_for_somebody(sandbox: Sandbox, call: Call) -> None:
    sandbox.life = ",".join(f"{happening}:every=0.01" for happening in HAPPENINGS)
    assert call("GET", "/api/campaigns").json()["data"] == []

    sandbox.add_campaign("Spring")

    until(lambda: {happening.happening for happening in sandbox.happened} == set(HAPPENINGS))


# One at a time


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_nothing_is_left_in_an_empty_sandbox(sandbox: Sandbox, happening: str) -> None:
    assert sandbox.happen(happening) is None
    assert sandbox.happened == []


def test_it_happens_now_and_to_whom_it_should(sandbox: Sandbox, call: Call, campaign: str) -> None:
    people = [sandbox.add_person(campaign, {"Email": f"{number}@example.com"}) for number in range(8)]
    other = sandbox.add_campaign("Autumn")

    for happening, to in (("unsubscribe", people[5]), ("reply", people[2]), ("pause", other), ("appear", other)):
        sandbox.happen(happening, to=to)

    assert [_prospect(call, person)["unsubscribed"] for person in people] == [number == 5 for number in range(8)]
    assert ["Replied" in _prospect(call, person) for person in people] == [number == 2 for number in range(8)]
    assert (_campaign(call, campaign)["paused"], _campaign(call, other)["paused"]) == (False, True)
    assert (len(sandbox.people(campaign)), len(sandbox.people(other))) == (8, 1)


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_it_cannot_happen_to_what_is_not_there(sandbox: Sandbox, campaign: str, happening: str) -> None:
    sandbox.add_campaign("Autumn", paused=True)
    sandbox.add_person(campaign, {"Email": "ana@example.com"})

    with pytest.raises(SandboxUsageError, match=f"'{happening}' cannot happen to 'nobody'. It means: "):
        sandbox.happen(happening, to="nobody")
    assert sandbox.happened == []


@pytest.mark.parametrize(
    ("happening", "to"), [("unsubscribe", "eve"), ("reply", "eve"), ("pause", "autumn"), ("unpause", "spring")]
)
def test_it_happens_to_nobody_who_is_past_it(sandbox: Sandbox, happening: str, to: str) -> None:
    sandbox.add_campaign("Autumn", paused=True, id="autumn")
    spring = sandbox.add_campaign("Spring", id="spring")
    ids = {"eve": sandbox.add_person(spring, {"Email": "eve@example.com"}, unsubscribed=True)}

    with pytest.raises(SandboxUsageError, match=f"'{happening}' cannot happen"):
        sandbox.happen(happening, to=ids.get(to, to))
    happened = sandbox.happen(happening)
    # Chosen at random: the other one, if there is one.
    assert (happened.id if happened else None) == {"pause": "spring", "unpause": "autumn"}.get(happening)


def test_an_unknown_happening_names_what_is_known(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxUsageError, match=r"Known: reply, unsubscribe, pause, unpause, appear$"):
        sandbox.happen("sleep")


# The same again


def test_the_same_seed_is_the_same_life() -> None:
    assert _story(1) == _story(1)
    assert _story(1) != _story(2)


def test_a_reset_throws_the_same_dice(sandbox: Sandbox) -> None:
    stories = []
    for _ in range(2):
        sandbox.reset()
        campaign = sandbox.add_campaign("Spring")
        stories.append([sandbox.happen("appear", to=campaign) for _ in range(5)])

    first, second = ([happening.name for happening in story if happening] for story in stories)
    assert first == second
    assert len(set(first)) == 5


def test_whoever_appears_is_new_in_a_file_too(tmp_path: Path) -> None:
    for _ in range(2):
        with Sandbox(db=tmp_path / "sandbox.db", seed="demo") as sandbox:
            for _ in range(3):
                sandbox.happen("appear", to="win-back")
            emails = [person.email for person in sandbox.people("win-back")]

    assert len(set(emails)) == len(emails) == 6


# The clock


def test_it_ends_after_so_many_times(sandbox: Sandbox, campaign: str) -> None:
    sandbox.life = "appear:every=0.01x3"

    until(lambda: not clocks())

    assert len(sandbox.people(campaign)) == 3


@pytest.mark.usefixtures("campaign")
def test_one_comes_as_long_after_another_as_it_says(sandbox: Sandbox) -> None:
    sandbox.life = "appear:every=0.05x7"

    until(lambda: len(sandbox.happened) == 7)

    # 0.3 s, and room for a busy machine; a clock that adds up its waits would take 1.35 s.
    assert sandbox.happened[-1].at - sandbox.happened[0].at < 1


def test_the_first_one_comes_after_its_time(sandbox: Sandbox, campaign: str) -> None:
    sandbox.add_person(campaign, {"Email": "ana@example.com"})
    sandbox.life = "pause:every=60:after=0.02,reply:every=0.001:after=60,appear:every=0.05x2"

    until(lambda: len(sandbox.people()) == 3)

    assert [happening.happening for happening in sandbox.happened] == ["pause", "appear", "appear"]


def test_without_a_life_there_is_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread.name), start(thread)))

    with Sandbox() as sandbox:
        sandbox.reset()
        sandbox.life = ""
        assert sandbox.life == ()

    assert started == ["salesblink-sandbox"]


def test_it_begins_with_the_sandbox_and_ends_with_it() -> None:
    sandbox = Sandbox(seed="demo", life=[Habit("appear", 0.01)])
    assert clocks() == []

    with sandbox:
        until(lambda: sandbox.happened)
        (clock,) = clocks()
        happened = len(sandbox.happened)
        until(lambda: len(sandbox.happened) > happened)

    assert not clock.is_alive()


@pytest.mark.usefixtures("campaign")
@pytest.mark.parametrize("stop", [lambda sandbox: setattr(sandbox, "life", ""), Sandbox.reset])
def test_it_can_be_stopped_while_the_sandbox_runs(
    sandbox: Sandbox, call: Call, stop: Callable[[Sandbox], None]
) -> None:
    sandbox.life = "appear:every=0.01"
    until(lambda: sandbox.happened)

    stop(sandbox)

    assert (sandbox.life, clocks()) == ((), [])
    assert call("GET", "/api/campaigns").status_code == 200


def test_a_reset_forgets_what_happened(sandbox: Sandbox, campaign: str) -> None:
    sandbox.happen("pause", to=campaign)

    sandbox.reset()

    assert sandbox.happened == []


@pytest.mark.usefixtures("campaign")
def test_another_life_takes_the_place_of_the_first(sandbox: Sandbox) -> None:
    sandbox.life = "appear:every=0.01"
    until(sandbox.people)
    (first,) = clocks()

    sandbox.life = [Habit("reply", 0.01, times=500)]

    people = len(sandbox.people())
    assert (first.is_alive(), len(clocks())) == (False, 1)
    until(lambda: sandbox.happened[-1].happening == "reply")
    assert len(sandbox.people()) == people


@pytest.mark.usefixtures("campaign")
def test_a_life_that_is_none_leaves_the_one_there_is(sandbox: Sandbox) -> None:
    sandbox.life = "appear:every=0.01"

    with pytest.raises(SandboxUsageError, match="Unknown happening"):
        sandbox.life = "sleep:every=1"

    assert sandbox.life == (Habit("appear", 0.01),)
    people = len(sandbox.people())
    until(lambda: len(sandbox.people()) > people)


def test_a_sandbox_with_a_life_that_is_none_does_not_begin() -> None:
    with pytest.raises(SandboxUsageError, match="Unknown happening 'sleep'"):
        Sandbox(life="sleep:every=1")


def test_a_clock_that_has_very_long_to_wait_waits(sandbox: Sandbox) -> None:
    sandbox.life = "reply:every=1e300"
    (clock,) = clocks()

    clock.join(0.1)

    assert clock.is_alive()


def test_a_happening_that_fails_is_logged_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def happen(happening: str) -> None:
        seen.append(happening)
        if len(seen) == 1:
            raise OSError("disk full")

    clock = Clock(happen)
    clock.keep([Habit("reply", 0.01)])
    clock.start()
    until(lambda: len(seen) > 1)
    clock.stop()

    assert caplog.messages == ["The sandbox could not let 'reply' happen"]
    assert "disk full" in caplog.text


def test_what_a_slow_machine_missed_comes_in_its_order() -> None:
    seen: list[str] = []
    go_on = threading.Event()

    def happen(happening: str) -> None:
        if seen:
            go_on.wait(5)
        seen.append(happening)

    clock = Clock(happen)
    clock.keep([Habit("pause", 1 / 16, after=3 / 32, times=3), Habit("reply", 1 / 32, times=6)])
    clock.start()
    until(lambda: seen)
    threading.Event().wait(0.25)
    go_on.set()
    until(lambda: len(seen) == 9)
    clock.stop()

    # At the same moment (3/32, 5/32), what was named first.
    assert seen == ["reply", "reply", "pause", "reply", "reply", "pause", "reply", "reply", "pause"]


# What people see


@pytest.mark.usefixtures("campaign")
def test_the_page_tells_the_life_and_what_happened(sandbox: Sandbox, call: Call) -> None:
    sandbox.life = "reply:every=60,pause:every=120:after=90x3,unpause:every=0.5x1"
    for _ in range(60):
        sandbox.happen("appear")
    sandbox.happen("pause")

    state = call("GET", "/sandbox/state").json()

    assert state["life"] == ["reply every 60 s", "pause every 120 s from 90 s on, 3 times", "unpause every 0.5 s, once"]
    assert (len(state["happenings"]), state["happenings"][0]["name"]) == (50, "Spring")
    assert state["happenings"][0] == vars(sandbox.happened[-1])
    assert 'id="happenings"' in call("GET", "/").text


def _story(random_seed: int) -> list[tuple[str, str]]:
    """Twenty things that happened by themselves to the demo's people."""
    with Sandbox(seed="demo", random_seed=random_seed) as sandbox:
        sandbox.life = "appear:every=0.004x8,reply:every=0.005x6,unsubscribe:every=0.01x4,pause:every=0.015x2"
        until(lambda: len(sandbox.happened) == 20)
        return [(happening.happening, happening.name) for happening in sandbox.happened]


def _prospect(call: Call, prospect_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = call("GET", f"/api/prospect/{prospect_id}").json()["data"]
    return shown


def _campaign(call: Call, campaign_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = call("GET", f"/api/campaign/{campaign_id}").json()["data"]
    return shown
