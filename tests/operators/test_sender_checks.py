"""``check_senders``: a campaign does not start with a mailbox that cannot send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.campaigns import UnpauseCampaignOperator
from airflow_provider_salesblink.operators.sequences import SetSequenceStatusOperator
from airflow_provider_salesblink.sandbox import V1Rules
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

on_v1 = pytest.mark.apis("v1")
FIRST, SECOND = (mailbox.id for mailbox in MAILBOXES)
SAID = {
    "disconnected": f"Sender {SECOND} (m*** at m***.com) is not connected.",
    "disabled": f"Sender {SECOND} (m*** at m***.com) may not send: sending is disabled.",
    "error": f"Sender {SECOND} (m*** at m***.com) has an error in SalesBlink.",
    "unknown": "SalesBlink does not show whether it can send (there is no valid 'connected')",
}


@pytest.fixture
def paused_with(sandbox: Sandbox, client: SalesBlinkClient) -> Callable[[str], str]:
    """Return a function that makes a paused campaign with these senders, and returns its id."""

    def make(senders: str) -> str:
        campaign_id = sandbox.add_campaign("Spring", paused=True)
        if senders:
            client.sequences.update(campaign_id, senders=senders)
        return campaign_id

    return make


def unpause(campaign_id: str, **arguments: Any) -> dict[str, Any]:
    given = {"campaign_id": campaign_id, "check_senders": True, **arguments}
    return UnpauseCampaignOperator(task_id="t", **given).execute({})


@on_v1
def test_a_campaign_with_healthy_senders_starts(sandbox: Sandbox, paused_with: Callable[[str], str]) -> None:
    assert unpause(paused_with(f"{FIRST},{SECOND}"))["outcome"] == "unpaused"
    assert not sandbox.campaigns()[0].paused


@on_v1
@pytest.mark.parametrize("health", SAID)
@pytest.mark.parametrize("senders", [SECOND, f"{FIRST},{SECOND}"])
def test_a_campaign_with_a_sender_that_may_not_be_able_to_send_does_not_start(
    health: Any, senders: str, sandbox: Sandbox, paused_with: Callable[[str], str]
) -> None:
    campaign_id = paused_with(senders)
    sandbox.v1 = V1Rules(second_sender=health)

    with pytest.raises(AirflowFailException) as failed:
        unpause(campaign_id)

    assert SAID[health] in str(failed.value)
    assert "These are senders of the campaign. Reconnect or enable them" in str(failed.value)
    assert "@" not in str(failed.value)
    assert sandbox.campaigns()[0].paused


@on_v1
def test_the_sender_of_another_campaign_is_not_in_the_way(sandbox: Sandbox, paused_with: Callable[[str], str]) -> None:
    campaign_id = paused_with(FIRST)
    sandbox.v1 = V1Rules(second_sender="disconnected")

    assert unpause(campaign_id)["outcome"] == "unpaused"
    assert not sandbox.campaigns()[0].paused


@on_v1
@pytest.mark.parametrize("senders", ["", "a-folder", f"{FIRST},a-folder"])
def test_where_the_senders_of_a_campaign_are_not_known_all_are_checked(
    senders: str, sandbox: Sandbox, paused_with: Callable[[str], str]
) -> None:
    campaign_id = paused_with(senders)
    sandbox.v1 = V1Rules(second_sender="disconnected")

    with pytest.raises(AirflowFailException, match=r"These are senders of the workspace \(SalesBlink does not show"):
        unpause(campaign_id)
    assert sandbox.campaigns()[0].paused

    sandbox.v1 = V1Rules()
    assert unpause(campaign_id)["outcome"] == "unpaused"


@on_v1
def test_without_the_argument_nothing_is_checked(sandbox: Sandbox, paused_with: Callable[[str], str]) -> None:
    campaign_id = paused_with(SECOND)
    sandbox.v1 = V1Rules(second_sender="disconnected")

    assert unpause(campaign_id, check_senders=False)["outcome"] == "unpaused"
    assert [request for request in sandbox.requests if "/senders" in request.path] == []


@on_v1
def test_a_health_that_cannot_be_read_starts_nothing(sandbox: Sandbox, paused_with: Callable[[str], str]) -> None:
    campaign_id = paused_with(FIRST)
    sandbox.fault("v1.getSenderHealth", "status", status=404)

    with pytest.raises(AirflowFailException, match="404"):
        unpause(campaign_id)
    assert sandbox.campaigns()[0].paused


@on_v1
def test_a_campaign_that_runs_is_left_alone(sandbox: Sandbox, changes: Changes) -> None:
    campaign_id = sandbox.add_campaign("Spring")
    sandbox.v1 = V1Rules(second_sender="disconnected")

    assert unpause(campaign_id)["outcome"] == "unpaused"
    assert changes() == []


def test_the_classic_api_has_no_senders_and_gets_no_request(sandbox: Sandbox) -> None:
    sandbox.add_campaign("Spring", paused=True)

    with pytest.raises(AirflowFailException, match=r"does not have senders\.health; nothing was sent"):
        UnpauseCampaignOperator(task_id="t", campaign_name="Spring", check_senders=True).execute({})

    assert sandbox.requests == []


@on_v1
def test_a_sequence_is_activated_with_the_same_check(
    sandbox: Sandbox, paused_with: Callable[[str], str], changes: Changes
) -> None:
    sequence_id = paused_with(SECOND)
    sandbox.v1 = V1Rules(second_sender="disabled")
    before = changes()

    def set_status(status: str) -> Any:
        operator = SetSequenceStatusOperator(task_id="t", sequence_id=sequence_id, status=status, check_senders=True)
        return operator.execute({})

    with pytest.raises(AirflowFailException, match="may not send"):
        set_status("active")
    assert changes() == before

    # A check that fails must never keep a sequence from being stopped.
    assert set_status("paused")["outcome"] == "paused"
    sandbox.v1 = V1Rules()
    assert set_status("active")["outcome"] == "active"
    assert not sandbox.campaigns()[0].paused


@pytest.mark.parametrize("operator", [UnpauseCampaignOperator, SetSequenceStatusOperator])
def test_a_text_is_refused(operator: Any) -> None:
    required = {"sequence_id": "s", "status": "active"} if operator is SetSequenceStatusOperator else {}

    with pytest.raises(ValueError, match="check_senders is 'False'; it takes True or False"):
        operator(task_id="t", check_senders="False", **required)
