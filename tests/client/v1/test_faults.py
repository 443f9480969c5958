"""Calls of the API v1 that the sandbox must accept, and those that are sent once whatever the fault.

The other faults are in ``tests/client/test_requestor.py``, for both APIs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AmbiguousWriteError
from airflow_provider_salesblink.client.v1 import PREFIX
from tests.client.fault_kinds import DOWN, LOST, SPOILT, faults
from tests.client.v1.contract import operations
from tests.client.v1.documented_calls import ANA, DOCUMENTED, Documented

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.v1.conftest import Resources

# The sandbox gives out these ids itself.
UNKNOWN_IDS = {"archiveContact", "deleteBlocklistEntry", "getSenderHealth"}
SENT_ONCE = {"addContacts", "cloneSequence", "updateSequence"}

ONE_OF_EACH = list({call.operation: call for call in DOCUMENTED}.values())
CALLS = [call for call in ONE_OF_EACH if call.operation not in UNKNOWN_IDS]
ONCE = [call for call in CALLS if call.operation in SENT_ONCE]


@pytest.fixture(autouse=True)
def scene(sandbox: Sandbox) -> None:
    """What the documented calls are about."""
    for list_id in ("l1", "l2"):
        sandbox.add_list(f"List {list_id}", id=list_id)
    sandbox.add_campaign("Spring", id="s1", lists=["l1"], paused=True)
    sandbox.add_lead("l1", {"email": ANA, "first_name": "Ana"}, id="p1")
    sandbox.block("bo@example.com", "example.org")


def sent(sandbox: Sandbox, call: Documented) -> list[int | None]:
    """Return the status of each request of a call, without the reads that go with it."""
    method = operations()[call.operation][0]
    return [each.status for each in sandbox.requests if (each.method, each.path) == (method, PREFIX + call.path)]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_the_sandbox_accepts_each_call(sandbox: Sandbox, on_sandbox: Resources, call: Documented) -> None:
    call.make(on_sandbox)

    assert set(sent(sandbox, call)) == {200}


@pytest.mark.parametrize("call", ONCE, ids=str)
@pytest.mark.parametrize("when", ["before", "after"])
@faults(LOST, SPOILT, DOWN)
def test_a_write_that_is_sent_once_is_in_doubt(
    sandbox: Sandbox, on_sandbox: Resources, call: Documented, kind: str, options: dict[str, Any], when: str
) -> None:
    sandbox.fault(f"v1.{call.operation}", kind, when=when, **options)

    with pytest.raises(AmbiguousWriteError, match="Check SalesBlink before sending it again"):
        call.make(on_sandbox)
    assert len(sandbox.requests) == 1
