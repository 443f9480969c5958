"""One person, while the store that says who is being added forgets it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.loading.reservations import NotReservedError
from airflow_provider_salesblink.loading.single import add_person
from tests.redis_server import new_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

ANA = {"Email": "ana@example.com"}


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
    assert 0 < waits[0] <= 30
    assert len(sandbox.people()) == 1


def test_who_is_not_reserved_any_more_is_not_sent(
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    new_client: Callable[..., SalesBlinkClient],
    redis_url: str,
    redis_server: Any,
) -> None:
    sandbox.fault("prospect-add", "429", retry_after=1)

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
