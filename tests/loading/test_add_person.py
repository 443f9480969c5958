"""One person, while the store that says who is being added forgets it."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AmbiguousWriteError, UnreadableResponseError
from airflow_provider_salesblink.loading.add_person import LONGEST_SLEEP, add_person
from airflow_provider_salesblink.loading.other_loads import HeldByOthersError
from airflow_provider_salesblink.loading.store_retry import NotReservedError
from airflow_provider_salesblink.sandbox import Shapes, V1Rules
from tests.apis import BOTH
from tests.conftest import HASTE
from tests.loading.people import writes
from tests.redis_server import new_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

on_both_apis = pytest.mark.apis(*BOTH)

ANA = {"Email": "ana@example.com"}


@on_both_apis
def test_who_was_added_before_the_store_forgot_it_is_not_added_again(
    sandbox: Sandbox, campaign: CampaignUnderTest, new_client: Callable[..., SalesBlinkClient]
) -> None:
    with new_server() as server:
        client = new_client(pacing_url=f"redis://127.0.0.1:{server.port}", timeout=30)
        waits: list[float] = []

        def meanwhile(seconds: float) -> None:
            # What another machine had under way, with a reservation that is lost.
            waits.append(seconds)
            sandbox.add_person(campaign.id, ANA)

        outcome, prospect = add_person(client, campaign.id, ANA, sleep=meanwhile)

    assert (outcome, prospect["email"]) == ("skipped", ANA["Email"])
    assert len(waits) == 1
    assert 0 < waits[0] <= client.settling_time
    assert len(sandbox.people()) == 1


@on_both_apis
def test_a_reservation_that_ends_before_the_add_is_sent_keeps_it_back(
    api: Api,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    new_client: Callable[..., SalesBlinkClient],
    pacing_url: str,
) -> None:
    api.fault("prospect-add", "429", retry_after=1)

    def forget() -> None:
        while not any(request.method == "POST" for request in sandbox.requests):
            time.sleep(0.01)  # noqa: TID251
        with closing(
            sqlite3.connect(pacing_url.removeprefix("file://").replace(".sqlite", ".reserved.sqlite"))
        ) as file:
            assert file.execute("UPDATE reservation SET until = 0").rowcount == 1
            file.commit()

    forgetting = threading.Thread(target=forget)
    forgetting.start()
    with pytest.raises(NotReservedError, match="does not hold the person's reservation any more; nothing was sent"):
        add_person(new_client(), campaign.id, ANA)
    forgetting.join()

    assert sandbox.people() == []
    assert add_person(new_client(), campaign.id, ANA)[0] == "added"


@pytest.mark.parametrize("opted_out", [True, False])
def test_where_nobody_shows_an_address_nobody_is_added(
    opted_out: bool,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    new_client: Callable[..., SalesBlinkClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.add_person(campaign.id, ANA, unsubscribed=opted_out)
    shown = Shapes.prospect

    def nameless(shapes: Shapes, person: Any) -> Any:
        record = shown(shapes, person)
        for place in (record, record.get("data", {})):
            if "Email" in place:
                place["emailAddress"] = place.pop("Email")
        return record

    monkeypatch.setattr(Shapes, "prospect", nameless)

    with pytest.raises(UnreadableResponseError, match="shows no addresses"):
        add_person(new_client(), campaign.id, ANA)
    with pytest.raises(UnreadableResponseError, match="shows no addresses"):
        new_client().prospects.search(ANA["Email"])
    assert len(sandbox.people()) == 1


@on_both_apis
def test_who_is_not_reserved_any_more_is_not_sent(
    api: Api,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    new_client: Callable[..., SalesBlinkClient],
    redis_url: str,
    redis_server: Any,
) -> None:
    api.fault("prospect-add", "429", retry_after=1)

    def forget() -> None:
        while not any(request.method == "POST" for request in sandbox.requests):
            time.sleep(0.01)  # noqa: TID251
        redis_server.client().flushall()

    forgetting = threading.Thread(target=forget)
    forgetting.start()
    with pytest.raises(NotReservedError, match="nothing was sent, since somebody could be added twice"):
        add_person(new_client(pacing_url=redis_url, timeout=1), campaign.id, ANA)
    forgetting.join()

    assert [request.status for request in sandbox.requests if request.method == "POST"] == [429]
    assert sandbox.people() == []


@pytest.mark.apis("v1")
def test_a_try_after_one_that_sent_the_person_waits_for_the_import_without_a_worker_slot(
    sandbox: Sandbox, campaign: CampaignUnderTest, new_client: Callable[..., SalesBlinkClient]
) -> None:
    sandbox.v1 = V1Rules(import_delay=100)
    with pytest.raises(AmbiguousWriteError):
        add_person(new_client(), campaign.id, ANA, owner="a")
    slower = new_client(policy=replace(HASTE, import_time=200))

    with pytest.raises(HeldByOthersError, match="may still import them") as held:
        add_person(slower, campaign.id, ANA, owner="a", sleep=pytest.fail)
    assert held.value.retry_after == LONGEST_SLEEP
    sandbox.advance(100)
    outcome, _ = add_person(slower, campaign.id, ANA, owner="a", sleep=pytest.fail)

    assert outcome == "skipped"
    assert [start.email for start in sandbox.started] == [ANA["Email"]]
    assert writes(sandbox) == ["contacts"]
