"""Who opted out in any campaign of the account is not added to this one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import BudgetSpentError, InvalidInputError, SalesBlinkError
from airflow_provider_salesblink.loading import LoadFailedError, opt_out_lookups
from airflow_provider_salesblink.sandbox import Shapes
from tests.apis import BOTH
from tests.loading.people import accounted_for, addresses, assert_each_once, people, reads, writes
from tests.loading.people import look_ups as looked_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

on_both_apis = pytest.mark.apis(*BOTH)

LOOK_UP = {"classic": "prospect", "v1": "v1.checkBlocklist"}
"""The call of each API that says whether somebody opted out, with an answer whose content counts."""


@pytest.fixture
def elsewhere(sandbox: Sandbox) -> Callable[..., str]:
    """Puts somebody into another campaign."""
    autumn = sandbox.add_campaign("Autumn")

    def add(email: str, *, unsubscribed: bool = False) -> str:
        return sandbox.add_person(autumn, {"Email": email}, unsubscribed=unsubscribed)

    return add


def here(sandbox: Sandbox, campaign: CampaignUnderTest) -> list[str]:
    return sorted(person.email for person in sandbox.people(campaign.id))


@on_both_apis
@pytest.mark.parametrize("spelling", ["p3@example.com", "P3@Example.COM"])
def test_who_opted_out_elsewhere_is_not_added(
    spelling: str, api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report],
    elsewhere: Callable[..., str],
) -> None:  # fmt: skip
    elsewhere(spelling, unsubscribed=True)
    elsewhere("p4@example.com")

    report = load_rows(people(6))

    assert here(sandbox, campaign) == [row["Email"] for row in people(6) if row["Email"] != "p3@example.com"]
    assert (report.added, report.planned.add, report.planned.opted_out) == (5, 5, 1)
    # On v1, the load reads the campaign again before it adds anybody, and after SalesBlink has accepted them.
    assert (report.looked_up, looked_up(sandbox), reads(sandbox)) == (6, 6, 3 if api.is_v1 else 1)
    assert accounted_for(report) == 6


def test_the_campaign_alone_is_what_counts_where_that_is_asked_for(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report], elsewhere: Callable[..., str]
) -> None:
    elsewhere("p1@example.com", unsubscribed=True)

    assert load_rows(people(3), opt_out_scope="campaign").added == 3

    assert here(sandbox, campaign) == [row["Email"] for row in people(3)]
    assert looked_up(sandbox) == 0


def test_another_scope_is_refused(load_rows: Callable[..., Report]) -> None:
    with pytest.raises(InvalidInputError, match="opt_out_scope is neither 'account' nor 'campaign'"):
        load_rows(people(1), opt_out_scope="team")


def test_where_salesblink_does_not_say_the_row_is_refused_and_the_others_are_sent(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report], elsewhere: Callable[..., str]
) -> None:
    sandbox.shapes = Shapes(state="none")
    elsewhere("p2@example.com")
    refused: list[Any] = []

    with pytest.raises(LoadFailedError, match="does not say whether they opted out") as failed:
        load_rows(people(5), on_rejects=refused.extend)

    report = failed.value.report
    assert [reject.number for reject in refused] == [3]
    assert 'opt_out_scope="campaign"' in refused[0].reason
    assert (report.added, report.planned.rejected, accounted_for(report)) == (4, 1, 5)
    assert load_rows(people(5), opt_out_scope="campaign").added == 1
    assert here(sandbox, campaign) == [row["Email"] for row in people(5)]


def test_nobody_found_is_nobody(api: Api, load_rows: Callable[..., Report]) -> None:
    api.fault("prospect", "status", status=404, times=None)

    assert load_rows(people(4)).added == 4


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 500}), ("status", {"status": 401}), ("status", {"status": 403}),
        ("html", {}), ("truncated", {}), ("reset", {}),
        ("429", {"retry_after": 3600}),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_read_stops_the_load(
    kind: str, options: dict[str, Any], api: Api, sandbox: Sandbox, load_rows: Callable[..., Report],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    rows = people(60)
    sandbox.fault(LOOK_UP[api.version], "slow", seconds=0.0, times=20)
    sandbox.fault(LOOK_UP[api.version], kind, times=None, **options)

    with pytest.raises(SalesBlinkError):
        load_rows(rows, owner="a")

    sandbox.advance(1)  # so that v1 has imported the people that it accepted
    assert len(writes(sandbox)) == len(sandbox.people()) <= 20
    assert "could not be looked up in other campaigns, so the load stops." in caplog.text
    assert "@" not in caplog.text
    sandbox.clear_faults()
    added = len(sandbox.people())
    assert load_rows(rows, owner="a").added == 60 - added
    assert_each_once(sandbox, rows)


def test_a_dry_run_looks_nobody_up_and_says_so(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")

    assert load_rows(people(3), client=new_client(dry_run=True)).planned.add == 3

    assert looked_up(sandbox) == 0
    assert "Writes: 3 (dry run: not sent, and nobody is looked up in other campaigns)." in caplog.text


def test_only_a_few_are_looked_up_ahead_of_those_who_are_sent(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    with pytest.raises(BudgetSpentError):
        load_rows(people(100), client=new_client(writes_per_minute=5), longest_wait=1)

    assert len(sandbox.people()) == 5
    # In flight, twice as many ahead, and as many again on their way.
    assert looked_up(sandbox) <= 5 + 5 + 2 * 5 + 5


def test_a_rate_limit_of_reads_ends_the_load_for_now_and_reports_what_was_done(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    with pytest.raises(BudgetSpentError, match="rate limit of reads") as spent:
        load_rows(people(30), client=new_client(reads_per_minute=7), longest_wait=1)

    # One of the seven was the campaign.
    assert spent.value.report.added == len(sandbox.people()) == 6
    assert 50 < (spent.value.retry_after or 0) < 61
    assert load_rows(people(30)).added == 24


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
def test_a_person_who_opts_out_while_a_load_is_deferred_is_not_added_when_it_resumes(
    api: Api,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    load_rows: Callable[..., Report],
    elsewhere: Callable[..., str],
) -> None:
    api.fault("prospect-add", "slow", seconds=0.0, times=10)
    api.fault("prospect-add", "429", retry_after=3600, times=None)
    with pytest.raises(SalesBlinkError):
        load_rows(people(30), owner="a", max_in_flight=2)
    sandbox.clear_faults()
    sandbox.finish_imports()
    missing = sorted({row["Email"] for row in people(30)} - set(here(sandbox, campaign)))
    elsewhere(missing[0], unsubscribed=True)
    elsewhere(missing[-1], unsubscribed=True)

    report = load_rows(people(30), owner="a")

    assert sorted({row["Email"] for row in people(30)} - set(here(sandbox, campaign))) == [missing[0], missing[-1]]
    assert (report.planned.opted_out, accounted_for(report)) == (2, 30)


def test_who_waited_for_long_is_looked_up_again_before_being_sent(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report],
    elsewhere: Callable[..., str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(opt_out_lookups, "LONGEST_RELIED_ON", 0.5)
    api.fault("prospect-add", "429", retry_after=1)

    def opt_out() -> None:
        while not writes(sandbox):
            time.sleep(0.01)  # noqa: TID251
        elsewhere("p0@example.com", unsubscribed=True)

    opting_out = threading.Thread(target=opt_out)
    opting_out.start()
    report = load_rows(people(3), max_in_flight=1)
    opting_out.join()

    assert here(sandbox, campaign) == ["p1@example.com", "p2@example.com"]
    assert (report.added, report.planned.opted_out, accounted_for(report)) == (2, 1, 3)


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
def test_every_row_is_accounted_for_once(
    api: Api,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    load_rows: Callable[..., Report],
    elsewhere: Callable[..., str],
) -> None:
    rows = [*people(40), *people(5), {"Email": "nobody"}, {"First Name": "Zoe"}]
    for number in range(0, 10, 2):
        elsewhere(f"p{number}@example.com", unsubscribed=number % 4 == 0)
    for number in range(10, 14):
        sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"}, unsubscribed=number == 10)
    api.fault("prospect-add", "status", status=422, times=2)
    api.fault("prospect-add", "reset", when="after", times=3)

    report = load_rows(rows, max_rejected=4)

    planned = report.planned
    assert (planned.opted_out, planned.there, planned.repeats, planned.rejected) == (3 + 1, 3, 5, 4)
    assert report.added == 40 - 4 - 3 - 2
    assert accounted_for(report) == len(rows)
    assert len(addresses(sandbox)) == len(sandbox.people())


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
def test_a_look_up_that_is_refused_refuses_one_row_and_not_the_load(load_rows: Callable[..., Report], api: Api) -> None:
    api.fault("prospect", "status", status=400, times=1)
    api.fault("prospect", "refused", times=1)

    report = load_rows(people(20), max_rejected=2)

    assert (report.added, report.planned.rejected) == (18, 2)
