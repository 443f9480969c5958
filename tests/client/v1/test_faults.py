"""Each call of the API v1 under each fault: carried out once, or a clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    AmbiguousWriteError,
    ApiRefusedError,
    ConnectionFailedError,
    RateLimitedError,
    SalesBlinkError,
    ServerError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.v1 import PREFIX
from tests.client.fault_kinds import BUSY, DOWN, LOST, SPOILT, faults, worded
from tests.client.v1.contract import operations
from tests.client.v1.documented_calls import ANA, DOCUMENTED, Documented
from tests.conftest import HASTE

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.v1.conftest import Resources

# The sandbox gives out these ids itself.
UNKNOWN_IDS = {"archiveContact", "deleteBlocklistEntry", "getSenderHealth"}
SENT_ONCE = {"addContacts", "cloneSequence", "updateSequence"}
EXPORT = "exportSequenceLeads"
READ_BACK = {"createList", "createSequence"}

FAULTS = [*LOST, *SPOILT, *DOWN, *BUSY]

ONE_OF_EACH = list({call.operation: call for call in DOCUMENTED}.values())
CALLS = [call for call in ONE_OF_EACH if call.operation not in UNKNOWN_IDS]


def is_read(call: Documented) -> bool:
    return operations()[call.operation][0] == "GET"


READS = [call for call in CALLS if is_read(call)]
ONCE = [call for call in CALLS if call.operation in SENT_ONCE]
REPEATABLE = [call for call in CALLS if not is_read(call) and call.operation not in SENT_ONCE | READ_BACK]


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
def test_the_sandbox_accepts_each_call(sandbox: Sandbox, api: Resources, call: Documented) -> None:
    call.make(api)

    assert set(sent(sandbox, call)) == {200}


@pytest.mark.parametrize(
    ("call", "kind", "options"),
    # Half of a CSV text may be a CSV text.
    [(call, *fault) for call in READS for fault in FAULTS if (call.operation, fault[0]) != (EXPORT, "truncated")],
    ids=worded,
)
def test_a_read_is_retried_until_it_succeeds(
    sandbox: Sandbox, api: Resources, call: Documented, kind: str, options: dict[str, Any]
) -> None:
    calm = call.make(api)
    sandbox.fault(f"v1.{call.operation}", kind, times=2, **options)

    assert call.make(api) == calm
    assert len(sent(sandbox, call)) == 1 + 3


@pytest.mark.parametrize(
    ("call", "kind", "options", "when"),
    [
        (call, *fault, when)
        for call in REPEATABLE
        for fault in FAULTS
        for when in ("before", "after")
        # A server that answers 429 has not carried out the request.
        if (fault[0], when) != ("429", "after")
    ],
    ids=worded,
)
def test_a_repeatable_write_is_retried(
    sandbox: Sandbox, api: Resources, call: Documented, kind: str, options: dict[str, Any], when: str
) -> None:
    sandbox.fault(f"v1.{call.operation}", kind, when=when, times=2, **options)

    call.make(api)

    # Not found, after an answer that was lost, means removed; such an answer is not truncated.
    is_gone = (call.operation, kind) == ("removeContact", "truncated")
    assert len(sent(sandbox, call)) == (2 if is_gone else 3)


@pytest.mark.parametrize("call", ONCE, ids=str)
@pytest.mark.parametrize("when", ["before", "after"])
@faults(LOST, SPOILT, DOWN)
def test_a_write_that_is_sent_once_is_in_doubt(
    sandbox: Sandbox, api: Resources, call: Documented, kind: str, options: dict[str, Any], when: str
) -> None:
    sandbox.fault(f"v1.{call.operation}", kind, when=when, **options)

    with pytest.raises(AmbiguousWriteError, match="Check SalesBlink before sending it again"):
        call.make(api)
    assert len(sandbox.requests) == 1


STAYING = [
    ("reset", {}, ConnectionFailedError),
    ("html", {}, UnreadableResponseError),
    ("garbage", {}, UnreadableResponseError),
    ("status", {"status": 503}, ServerError),
    ("429", {}, RateLimitedError),
]


@pytest.mark.parametrize("call", [*READS, *REPEATABLE], ids=str)
@pytest.mark.parametrize(("kind", "options", "error"), STAYING, ids=worded)
def test_a_fault_that_stays_raises_its_error_after_the_last_attempt(
    sandbox: Sandbox,
    api: Resources,
    call: Documented,
    kind: str,
    options: dict[str, Any],
    error: type[SalesBlinkError],
) -> None:
    sandbox.fault(f"v1.{call.operation}", kind, times=None, **options)

    with pytest.raises(error) as caught:
        call.make(api)

    assert type(caught.value) is error
    assert (caught.value.method, caught.value.path) == (operations()[call.operation][0], PREFIX + call.path)
    assert len(sent(sandbox, call)) == HASTE.max_attempts
    assert ANA not in str(caught.value)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_that_the_api_refuses_is_not_retried(sandbox: Sandbox, api: Resources, call: Documented) -> None:
    sandbox.fault(f"v1.{call.operation}", "refused", times=None)

    with pytest.raises(ApiRefusedError):
        call.make(api)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_client_error_is_not_retried(sandbox: Sandbox, api: Resources, call: Documented) -> None:
    for number, status in enumerate([400, 401, 403, 404, 405, 406, 409, 418, 422], start=1):
        sandbox.fault(f"v1.{call.operation}", "status", status=status)

        with pytest.raises(SalesBlinkError) as caught:
            call.make(api)
        assert (caught.value.status, caught.value.permanent) == (status, True)
        assert len(sandbox.requests) == number
