"""A campaign's list has no pages. A list of any length is read piece by piece, and never partly."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import (
    AmbiguousWriteError,
    ApiRefusedError,
    BudgetSpentError,
    NotFoundError,
    SalesBlinkClient,
    UnreadableResponseError,
    http_transport,
)
from airflow_provider_salesblink.sandbox import Shapes

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest


@pytest.fixture(params=["in memory", "in a file"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in a file":
        monkeypatch.setattr(http_transport, "LONGEST_IN_MEMORY", 10)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    "shapes",
    [
        Shapes(envelope=envelope, id_style=ids, columns=columns)
        for envelope, ids, columns in product(("data", "bare", "named"), ("documented", "id", "_id"), ("flat", "data"))
    ],
    ids=str,
)
def test_each_yields_what_list_returns_in_every_shape(
    shapes: Shapes, sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    for number in range(50):
        sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com", "Näme": "é"}, unsubscribed=number == 7)
    sandbox.shapes = shapes

    assert list(client.prospects.each(campaign.id)) == client.prospects.list(campaign.id)
    assert len(client.prospects.list(campaign.id)) == 50


@pytest.mark.usefixtures("kept")
def test_an_empty_campaign_yields_nobody(client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    assert list(client.prospects.each(campaign.id)) == []


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("fault", ["html", "truncated", "garbage"])
def test_half_a_list_is_an_error(
    fault: str, sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.fault("prospects", fault, times=None)

    with pytest.raises(UnreadableResponseError):
        list(client.prospects.each(campaign.id))


@pytest.mark.usefixtures("kept")
def test_a_refusal_is_an_error(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    sandbox.fault("prospects", "refused")

    with pytest.raises(ApiRefusedError):
        list(client.prospects.each(campaign.id))


@pytest.mark.usefixtures("kept")
def test_an_unknown_campaign_is_an_error(client: SalesBlinkClient) -> None:
    with pytest.raises(NotFoundError):
        list(client.prospects.each("nobody"))


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("fault", ["reset", "cut", "close"])
def test_a_list_is_read_again_after_its_connection_breaks(
    fault: str, sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.fault("prospects", fault, times=2)

    assert [found["email"] for found in client.prospects.each(campaign.id)] == ["ana@example.com"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_send_raises_when_the_answer_is_lost(
    when: str, sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    sandbox.fault("prospect-add", "reset", when=when)

    with pytest.raises(AmbiguousWriteError) as doubt:
        client.prospects.send(campaign.id, [{"Email": "ana@example.com"}])

    assert [request.method for request in sandbox.requests] == ["POST"]
    assert (doubt.value.method, doubt.value.path, doubt.value.settling_time) == ("POST", "/api/prospect-add", 0)


def test_send_sends_again_after_a_429(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    sandbox.fault("prospect-add", "429", retry_after=0)

    client.prospects.send(campaign.id, [{"Email": "ana@example.com"}])
    assert [person.email for person in sandbox.people()] == ["ana@example.com"]


def test_a_call_waits_for_the_rate_limit_no_longer_than_allowed(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    pacing = f"file://{tmp_path}/pace.sqlite"
    with SalesBlinkClient(sandbox.key, sandbox.url, reads_per_minute=1, pacing_url=pacing) as client:
        client.campaigns.get(campaign.id)

        with client.waiting_at_most(5), pytest.raises(BudgetSpentError, match="The rate limit of reads") as spent:
            client.campaigns.get(campaign.id)

    assert 55 < spent.value.retry_after <= 60.5
    assert len(sandbox.requests) == 1
