"""Loads that wait for the next day, or for their hours, without a worker slot."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_salesblink.loading import add_schedule
from airflow_provider_salesblink.operators import approvals
from airflow_provider_salesblink.operators.leads import AddLeadsOperator
from airflow_provider_salesblink.operators.plans import PlanLoadOperator
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

ROWS = [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(7)]
NOON = datetime(2027, 1, 4, 12, tzinfo=UTC)
GROWING = "{{ [20 + 10 * (macros.datetime.now() - macros.datetime(2026, 1, 5)).days, 7] | min }}"
OFFICE = "Mon-Fri 09:00-17:00 UTC"


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Return a function that sets the clock of the days and hours, which runs from when it is first read."""

    def set_to(now: datetime) -> None:
        read: list[float] = []

        def unix_time() -> float:
            read.append(time.monotonic())
            return now.timestamp() + read[-1] - read[0]

        monkeypatch.setattr(add_schedule, "unix_time", unix_time)

    set_to(NOON)
    return set_to


def deferred(operator: AddProspectsOperator | AddLeadsOperator, saved: dict[str, Any] | None = None) -> TaskDeferred:
    """Run a part of a load that ends with a deferral, and return it as it is after Airflow has stored it."""
    with pytest.raises(TaskDeferred) as caught:
        operator.execute({}) if saved is None else operator.resume({}, None, **saved)
    caught.value.kwargs = json.loads(json.dumps(caught.value.kwargs))
    return caught.value


def wait_of(deferral: TaskDeferred) -> timedelta:
    return deferral.trigger.moment - datetime.now(UTC)


def test_a_load_of_several_days_is_deferred_to_each_of_them(
    sandbox: Sandbox, campaign: CampaignUnderTest, set_clock: Callable[[datetime], None], tmp_path: Path
) -> None:
    rows, outcomes = [*ROWS, {"Email": "nobody"}], tmp_path / "outcomes.jsonl"

    def new() -> AddProspectsOperator:
        return AddProspectsOperator(
            task_id="t", campaign_id=campaign.id, rows=rows, daily_new_people="3", defer_after=600, max_wait=0,
            max_rejected=1, outcomes_path=f"file://{outcomes}", rejected_path=f"file://{tmp_path}/rejected.jsonl",
        )  # fmt: skip

    first = deferred(new())

    assert len(sandbox.people()) == 3
    assert timedelta(hours=11.9) < wait_of(first) < timedelta(hours=12.1)
    assert first.kwargs["done_before"]["added"] == 3
    # The end may be days away: what is refused, and who is still to be added, shows now.
    assert '"row": 8' in (tmp_path / "rejected.jsonl").read_text()
    words = [json.loads(line)["outcome"] for line in outcomes.read_text().splitlines()]
    assert sorted(words) == ["added"] * 3 + ["not_sent"] * 4 + ["rejected"]
    set_clock(NOON + timedelta(days=1))
    second = deferred(new(), first.kwargs)
    assert (len(sandbox.people()), second.kwargs["waited"]) == (6, 0)
    set_clock(NOON + timedelta(days=2))
    xcom = new().resume({}, None, **second.kwargs)
    assert (xcom["rows"], xcom["added"], xcom["there"], xcom["rejected"]) == (8, 7, 0, 1)
    assert sorted(person.email for person in sandbox.people()) == [row["Email"] for row in ROWS]


def test_a_load_in_airflow_begins_when_its_window_opens(
    sandbox: Sandbox, campaign: CampaignUnderTest, run_dag: Callable[..., Any], dag: Any,
    set_clock: Callable[[datetime], None],
) -> None:  # fmt: skip
    with dag:
        AddProspectsOperator(
            task_id="load", campaign_id=campaign.id, rows=ROWS,
            sending_window="{{ 'Mon-Fri' }} 09:00-17:00 Europe/Berlin", daily_new_people=GROWING,
        )  # fmt: skip
    set_clock(NOON.replace(hour=7, minute=59, second=58))

    run = run_dag(dag)

    assert run.state == "success"
    (task_run,) = run.get_task_instances()
    assert task_run.try_number == 1
    first_read, *_ = (each.at for each in sandbox.requests)
    first_add, *_ = (each.at for each in sandbox.requests if each.method == "POST")
    assert first_add - first_read > 1.5
    reads = [each for each in sandbox.requests if campaign.id in each.path and each.method == "GET"]
    assert len(reads) >= 2
    assert sorted(person.email for person in sandbox.people()) == [row["Email"] for row in ROWS]


def test_an_approved_load_goes_on_the_next_day_with_the_same_plan(
    sandbox: Sandbox, campaign: CampaignUnderTest, set_clock: Callable[[datetime], None], tmp_path: Path
) -> None:
    people = {"campaign_id": campaign.id, "rows": ROWS, "daily_new_people": 5, "sending_window": OFFICE}
    plan = PlanLoadOperator(task_id="plan", plan_path=f"file://{tmp_path}/plan.txt", **people).execute({})
    assert (plan["days"], plan["add"]) == (2, 7)
    assert "Adding takes at least 2 days, as daily_new_people says." in approvals.body(plan, "24h")
    approved = {
        **{name: plan[name] for name in ("campaign_id", "digest", "plan_path", "planned_at")},
        "outcome": "approved", "approved_by": "Ana (id 1)", "approved_at": "2026-11-26T12:00:00+00:00", "run": None,
        "expires_at": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
    }  # fmt: skip

    def new(**changed: Any) -> AddProspectsOperator:
        return AddProspectsOperator(task_id="load", **{**people, "approved_plan": approved, **changed})

    set_clock(NOON.replace(hour=8))
    closed = deferred(new())
    assert sandbox.people() == []
    set_clock(NOON)
    cut = deferred(new(), closed.kwargs)
    assert len(sandbox.people()) == 5
    approved["expires_at"] = "2026-01-01T00:00:00+00:00"
    set_clock(NOON + timedelta(days=1))
    with pytest.raises(AirflowFailException, match="add 1 person"):
        new(rows=[*ROWS, {"Email": "new@example.com"}]).resume({}, None, **cut.kwargs)
    # How many a day is not a part of what was approved.
    xcom = new(daily_new_people=50).resume({}, None, **cut.kwargs)
    assert (xcom["added"], xcom["approved_by"]) == (7, "Ana (id 1)")
    with pytest.raises(AirflowFailException, match="nothing was sent"):
        new().execute({})


@pytest.mark.apis("v1")
def test_a_load_onto_a_list_shares_the_count_of_the_day(
    sandbox: Sandbox, campaign: CampaignUnderTest, set_clock: Callable[[datetime], None]
) -> None:
    set_clock(NOON)
    listed = sandbox.add_list("Customers")
    deferred(AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, daily_new_people=5))
    others = [{"Email": f"other{number}@example.com"} for number in range(5)]

    deferred(AddLeadsOperator(task_id="t", list_id=listed, rows=others, daily_new_people=7))

    assert (len(sandbox.people(campaign.id)), len(sandbox.leads(listed))) == (5, 2)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"daily_new_people": "{{ none }}"}, "daily_new_people is None: its template found nothing"),
        ({"sending_window": "{{ none }}"}, "sending_window is None: its template found nothing"),
        ({"daily_new_people": "0"}, "daily_new_people is not a whole number of at least 1, such as 20"),
        ({"sending_window": "office hours"}, "sending_window is not days, hours and a time zone"),
    ],
)
def test_a_ramp_that_makes_no_sense_stops_the_load_before_anything_is_sent(
    given: dict[str, Any], says: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    operator = AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=ROWS, **given)
    for name, value in given.items():
        setattr(operator, name, None if "none" in value else value)  # as Airflow renders it natively

    with pytest.raises(AirflowFailException, match=says):
        operator.execute({})

    assert not sandbox.requests
