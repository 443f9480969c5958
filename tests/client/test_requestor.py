"""Calls over a real connection: after any fault, a call is carried out once or raises a clear error."""

from __future__ import annotations

import datetime
import ipaddress
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_salesblink.client import (
    AmbiguousWriteError,
    ApiRefusedError,
    BudgetSpentError,
    ConnectionFailedError,
    NotFoundError,
    RateLimitedError,
    SalesBlinkClient,
    SalesBlinkError,
    ServerError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.sandbox import Sandbox
from tests.client.documented_calls import (
    ADDS,
    ANA,
    DOCUMENTED,
    EACH_API,
    FIRST_READS,
    PREFIXES,
    V1_COMMON,
    Documented,
    Scene,
    each_api,
    every_call,
    every_call_of_each_api,
    every_read_of_each_api,
    every_repeatable_write_of_each_api,
)
from tests.client.fault_kinds import BUSY, DOWN, LOST, SPOILT, faults, worded
from tests.client.raw_server import answer
from tests.conftest import HASTE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.client.conftest import NewClient, Serve, WaitlessClient
    from tests.client.raw_server import Piece, Received, Script
    from tests.conftest import CampaignUnderTest

BO = {"Email": "bo@example.com"}


def addresses(sandbox: Sandbox) -> list[str]:
    return [person.email for person in sandbox.people()]


def writes(sandbox: Sandbox) -> list[str]:
    return [request.method for request in sandbox.requests if request.method != "GET"]


READ_BACK = {"classic": "prospects", "v1": "v1.listListLeads"}
"""The operation that shows whether somebody was added."""


def read_back_path(sandbox: Sandbox, api_version: str) -> str:
    """Return the path of this operation for the only campaign."""
    (campaign,), (campaign_list,) = sandbox.campaigns(), sandbox.lists()
    paths = {"classic": f"/prospects/{campaign.id}", "v1": f"/lists/{campaign_list.id}/leads"}
    return PREFIXES[api_version] + paths[api_version]


def is_half_a_csv_file(call: Documented, kind: str) -> bool:
    """Return whether a fault cuts a CSV file, which looks like a whole one until its last row is read."""
    return call.operation == "v1.exportSequenceLeads" and kind == "truncated"


# Faults that pass


@every_read_of_each_api
@faults(LOST, SPOILT, DOWN, BUSY)
def test_a_read_is_retried_until_it_succeeds(
    sandbox: Sandbox, client: SalesBlinkClient, scene: Scene, call: Documented, kind: str, options: dict[str, Any]
) -> None:
    if is_half_a_csv_file(call, kind):
        return
    calm = call.make(client, scene)
    calm_requests = len(sandbox.requests)
    sandbox.fault(call.operation, kind, times=2, **options)

    assert call.make(client, scene) == calm
    assert len(sandbox.requests) == 2 * calm_requests + 2


@every_repeatable_write_of_each_api
@pytest.mark.parametrize("when", ["before", "after"])
@faults(LOST, SPOILT, DOWN, BUSY)
def test_a_repeatable_write_is_retried(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    scene: Scene,
    call: Documented,
    kind: str,
    options: dict[str, Any],
    when: str,
) -> None:
    is_removal = call.operation == "v1.removeContact"
    # A 429 means that nothing was carried out.
    sandbox.fault(call.operation, kind, when="before" if is_removal and kind == "429" else when, times=2, **options)

    call.make(client, scene)

    campaign, (ana, *_) = sandbox.campaigns()[0], sandbox.people() or [None]
    done = {
        "pause": campaign.paused,
        "unpause": not campaign.paused,
        "update prospect": ana and ana.fields.get("Company") == "Northwind",
        "unsubscribe prospect": ana and ana.unsubscribed,
    }
    assert done.get(call.section.removeprefix("v1 "), True)
    # With "truncated", the second answer is half a 404, which says that the removal was carried out.
    attempts = 2 if is_removal and kind == "truncated" else 3
    assert len(call.among(sandbox.requests, scene)) == attempts
    assert writes(sandbox) == [call.method] * attempts


@each_api
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("times", [1, 2, 4])
@faults(LOST, SPOILT, DOWN)
def test_nobody_is_added_twice_after_any_fault(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    campaign: CampaignUnderTest,
    api_version: str,
    kind: str,
    options: dict[str, Any],
    when: str,
    times: int,
) -> None:
    sandbox.fault(ADDS[api_version].operation, kind, when=when, times=times, **options)

    added = client.prospects.add(campaign.id, {"Email": " Bo@Example.com"})

    assert addresses(sandbox) == ["Bo@Example.com"]
    assert added["email"] == "Bo@Example.com"
    assert added["id"] == sandbox.people()[0].id


@each_api
@faults(BUSY)
def test_an_add_is_retried_after_a_429(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    campaign: CampaignUnderTest,
    api_version: str,
    kind: str,
    options: dict[str, Any],
) -> None:
    sandbox.fault(ADDS[api_version].operation, kind, times=3, **options)

    client.prospects.add(campaign.id, BO)

    assert addresses(sandbox) == ["bo@example.com"]
    assert writes(sandbox) == ["POST"] * 4


@each_api
def test_a_redirected_add_is_read_back_before_it_is_sent_again(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, api_version: str
) -> None:
    sandbox.fault(ADDS[api_version].operation, "redirect", location="/elsewhere", when="after")

    client.prospects.add(campaign.id, BO)

    assert addresses(sandbox) == ["bo@example.com"]
    assert writes(sandbox) == ["POST"]
    after = [request.path for request in sandbox.requests].index(PREFIXES[api_version] + ADDS[api_version].path) + 1
    assert {request.path for request in sandbox.requests[after:]} == {read_back_path(sandbox, api_version)}


def test_an_add_is_read_back_only_if_in_doubt(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    client.prospects.add(campaign.id, BO)

    assert [request.method for request in sandbox.requests] == ["POST"]


def test_reading_back_finds_any_spelling_of_the_address(serve: Serve, new_client: NewClient) -> None:
    def script(request: Received) -> Iterable[bytes]:
        if request.method == "POST":
            yield answer(status="500 Oops")
        else:
            yield answer([{"id": "1", "e-mail": None}, {"id": "2", "data": {"EMAIL": " BO@example.com "}}])

    server = serve(script)

    assert new_client(base_url=server.url).prospects.add("c1", BO)["id"] == "2"
    assert len(server.sent("POST")) == 1


# Faults that stay


STAYING = [
    *((kind, options, ConnectionFailedError) for kind, options in LOST),
    *((kind, options, UnreadableResponseError) for kind, options in SPOILT),
    *((kind, options, ServerError) for kind, options in DOWN),
    *((kind, options, RateLimitedError) for kind, options in BUSY),
]
STORED_FIRST = ("cut", "truncated")  # With these faults, the add is stored and found.


ENDING_IN_404 = ("v1.removeContact", "v1.archiveContact", "v1.deleteBlocklistEntry")
"""What the first names is gone after the first attempt; the others name what is not there."""


def stays(call: Documented, kind: str) -> bool:
    """Return whether a fault of this call can stay without the call being carried out or found."""
    is_found = call.after_loss == "read back" and kind in STORED_FIRST
    is_half_a_404 = call.operation in ENDING_IN_404 and kind == "truncated"
    return not is_found and not is_half_a_404 and not is_half_a_csv_file(call, kind)


@pytest.mark.parametrize(
    ("call", "kind", "options", "error"),
    [(call, *fault) for call in EACH_API for fault in STAYING if stays(call, fault[0])],
    ids=worded,
)
def test_a_fault_that_stays_raises_its_error_after_the_last_attempt(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    scene: Scene,
    call: Documented,
    kind: str,
    options: dict[str, Any],
    error: type[SalesBlinkError],
) -> None:
    client.campaigns.list()  # When a client's first call fails, it also asks which API accepts the key.
    sandbox.fault(call.operation, kind, times=None, **options)
    stops = call.after_loss == "stop" and kind != "429"

    with pytest.raises(SalesBlinkError) as caught:
        call.make(client, scene)

    assert type(caught.value) is (AmbiguousWriteError if stops else error)
    assert (caught.value.method, caught.value.path) == (call.method, call.full_path(scene))
    assert len(call.among(sandbox.requests[1:], scene)) == (1 if stops else HASTE.max_attempts)
    if call in (*DOCUMENTED, *V1_COMMON):
        assert addresses(sandbox) == [ANA]


@every_call_of_each_api
def test_a_call_that_the_api_refuses_is_not_retried(
    sandbox: Sandbox, client: SalesBlinkClient, scene: Scene, call: Documented
) -> None:
    client.campaigns.list()
    sandbox.fault(call.operation, "refused", times=None)

    with pytest.raises(ApiRefusedError, match=r"The request was refused\. Check") as caught:
        call.make(client, scene)

    assert caught.value.status == 200
    assert len(call.among(sandbox.requests[1:], scene)) == 1


# On the API v1, a search for an address asks for it with a 404 as the answer for "nobody".
NOBODY = "v1 search prospect", 404


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 409, 418, 422])
@every_call_of_each_api
def test_a_client_error_is_not_retried(
    sandbox: Sandbox, client: SalesBlinkClient, scene: Scene, call: Documented, status: int
) -> None:
    client.campaigns.list()  # When a client's first call fails, it also asks which API accepts the key.
    sandbox.fault(call.operation, "status", status=status, times=None)

    if (call.section, status) == NOBODY:
        assert call.make(client, scene) == []
        return
    with pytest.raises(SalesBlinkError) as caught:
        call.make(client, scene)

    assert caught.value.status == status
    assert caught.value.permanent
    assert len(call.among(sandbox.requests[1:], scene)) == 1
    assert writes(sandbox) == ([] if call.method == "GET" else [call.method])


@each_api
@pytest.mark.parametrize("kind", ["reset", "html", "truncated", "refused", "status"])
@pytest.mark.parametrize("status", [500, 401, 404])
@pytest.mark.parametrize(("lost", "options"), [("reset", {}), ("status", {"status": 500}), ("html", {})], ids=worded)
def test_an_add_that_cannot_be_read_back_is_ambiguous(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    campaign: CampaignUnderTest,
    api_version: str,
    kind: str,
    status: int,
    lost: str,
    options: dict[str, Any],
) -> None:
    sandbox.fault(ADDS[api_version].operation, lost, when="after", times=None, **options)
    sandbox.fault(READ_BACK[api_version], kind, status=status, times=None)

    with pytest.raises(AmbiguousWriteError, match="Check SalesBlink before sending it again") as caught:
        client.prospects.add(campaign.id, BO)

    assert addresses(sandbox) == ["bo@example.com"]
    assert writes(sandbox) == ["POST"]
    assert (caught.value.method, caught.value.path) == ("POST", PREFIXES[api_version] + ADDS[api_version].path)
    assert caught.value.status == {"reset": None, "status": 500, "html": 200}[lost]
    assert isinstance(caught.value.__cause__, SalesBlinkError)
    assert caught.value.__cause__.path == read_back_path(sandbox, api_version)
    assert not caught.value.permanent


def test_a_campaign_that_shows_no_addresses_cannot_be_read_back(serve: Serve, new_client: NewClient) -> None:
    def script(request: Received) -> Iterable[bytes]:
        yield answer(status="500 Oops") if request.method == "POST" else answer([{"prospectID": "1"}])

    server = serve(script)

    with pytest.raises(AmbiguousWriteError, match="shows no addresses"):
        new_client(base_url=server.url).prospects.add("c1", BO)
    assert len(server.sent("POST")) == 1


@each_api
def test_a_lost_last_answer_is_read_back_too(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, api_version: str
) -> None:
    sandbox.fault(ADDS[api_version].operation, "reset", when="after")

    new_client(policy=Policy(max_attempts=1)).prospects.add(campaign.id, BO)

    assert addresses(sandbox) == ["bo@example.com"]
    assert writes(sandbox) == ["POST"]


@each_api
@faults(LOST, SPOILT, DOWN)
def test_send_raises_after_any_lost_answer(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    campaign: CampaignUnderTest,
    api_version: str,
    kind: str,
    options: dict[str, Any],
) -> None:
    sandbox.fault(ADDS[api_version].operation, kind, when="after", **options)

    with pytest.raises(AmbiguousWriteError, match="Check SalesBlink before sending it again") as caught:
        client.prospects.send(campaign.id, [BO])

    assert (caught.value.method, caught.value.path) == ("POST", PREFIXES[api_version] + ADDS[api_version].path)
    assert addresses(sandbox) == ["bo@example.com"]
    assert sandbox.requests[-1].method == "POST"
    assert writes(sandbox) == ["POST"]


@faults(BUSY)
def test_send_is_retried_after_a_429(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, kind: str, options: dict[str, Any]
) -> None:
    sandbox.fault("prospect-add", kind, times=3, **options)

    client.prospects.send(campaign.id, [BO])
    assert addresses(sandbox) == ["bo@example.com"]


@each_api
def test_the_error_of_send_has_the_settling_time(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, api_version: str
) -> None:
    sandbox.fault(ADDS[api_version].operation, "slow", seconds=1)

    with pytest.raises(AmbiguousWriteError) as caught:
        new_client(timeout=0.2, policy=Policy(settling_time=7, import_time=6)).prospects.send(campaign.id, [BO])
    assert caught.value.settling_time == 7


# Waiting


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("call", [*ADDS.values(), *FIRST_READS.values()], ids=str)
def test_retry_after_is_respected(
    sandbox: Sandbox, waitless: WaitlessClient, scene: Scene, call: Documented, form: str
) -> None:
    sandbox.fault(call.operation, "429", retry_after=40, retry_after_form=form)
    sandbox.fault(call.operation, "status", status=503, retry_after=20, retry_after_form=form)

    call.make(waitless, scene)  # type: ignore[arg-type]

    first, second, *polls = waitless.waits
    assert 40 <= first <= 41 + 0.5
    assert 20 <= second <= 21 + 1.0
    # On the API v1, an accepted person may still appear: the client waits for that before it sends them again.
    assert sum(polls) == pytest.approx(Policy().import_time if call is ADDS["v1"] else 0, abs=1)


@pytest.mark.parametrize("call", [*ADDS.values(), *FIRST_READS.values()], ids=str)
def test_a_429_without_retry_after_waits_a_minute(
    sandbox: Sandbox, waitless: WaitlessClient, scene: Scene, call: Documented
) -> None:
    sandbox.fault(call.operation, "429", times=2)

    call.make(waitless, scene)  # type: ignore[arg-type]

    first, second = waitless.waits
    assert 60 <= first <= 60.5
    assert 60 <= second <= 61


def test_one_429_pauses_all_requests_of_its_kind(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client = new_client(policy=replace(HASTE, rate_limit_window=1.0))
    sandbox.fault("prospect-add", "slow", seconds=0.05, times=20)
    sandbox.fault("prospect-add", "429")
    rows = [{"Email": f"p{number}@example.com"} for number in range(60)]

    with ThreadPoolExecutor(8) as pool:
        adding = [pool.submit(client.prospects.send, campaign.id, [row]) for row in rows]
        while not any(request.status == 429 for request in sandbox.requests):
            time.sleep(0.005)  # noqa: TID251
        client.campaigns.list()
        for each in adding:
            each.result()

    (limited,) = (request.at for request in sandbox.requests if request.status == 429)
    sent = [request.at for request in sandbox.requests if request.method == "POST"]
    # Requests that were under way when the 429 came do not count.
    assert [at - limited for at in sent if 0.2 < at - limited < 1] == []
    assert len([at for at in sent if at - limited >= 1]) >= 30
    assert min(request.at - limited for request in sandbox.requests if request.method == "GET") < 1
    assert len(sandbox.people()) == 60
    assert caplog.text.count("SalesBlink answered 429: no writes for 1 s.") == 1


@pytest.mark.parametrize(("retry_after", "longest_wait"), [(None, 5), (3600, math.inf)])
def test_a_call_that_would_wait_too_long_after_another_call_s_429_is_not_sent(
    sandbox: Sandbox, new_client: NewClient, retry_after: int | None, longest_wait: float
) -> None:
    client = new_client(policy=Policy(max_attempts=1))
    sandbox.fault("campaigns", "429", retry_after=retry_after)
    with pytest.raises(RateLimitedError, match="429 on GET"):
        client.campaigns.list()

    with ThreadPoolExecutor(1) as pool, client.waiting_at_most(longest_wait):
        other = pool.submit(client.campaigns.list)
        with pytest.raises(RateLimitedError, match="another call of this key, so this one was not sent") as caught:
            other.result()

    assert caught.value.retry_after == pytest.approx(retry_after or 60, abs=2)
    assert not isinstance(caught.value, BudgetSpentError)
    assert len(sandbox.requests) == 1


def test_a_rate_limit_that_many_calls_wait_for_is_logged_once(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    waits: list[float] = []

    class UsedUp:
        """A rate limit that is used up until each of eight calls has waited once."""

        def try_acquire(self, _: str) -> float:
            return 42.0 - len(waits) if len(waits) < 8 else 0.0

    requestor = Requestor(
        sandbox.url, "/api", sandbox.key, policy=HASTE, rate_limiter=UsedUp(), timeout=5, sleep=waits.append
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: requestor.read("campaigns"), range(8)))
    requestor.close()

    assert len(waits) >= 8
    assert caplog.text.count("The rate limit of reads is used up; waiting") == 1


def test_a_retry_after_of_an_hour_is_an_error(sandbox: Sandbox, waitless: WaitlessClient) -> None:
    sandbox.fault("campaigns", "429", retry_after=3600, times=None)

    with pytest.raises(RateLimitedError, match="It asks to wait 3600 s") as caught:
        waitless.campaigns.list()

    assert (caught.value.retry_after, caught.value.status) == (3600, 429)
    assert waitless.waits == []
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("header", ["9" * 12, "9" * 500, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_huge_retry_after_is_an_error(serve: Serve, new_client: NewClient, header: str) -> None:
    server = serve(lambda _: [answer({}, "429 Too Many Requests", Retry_After=header)])

    with pytest.raises(RateLimitedError) as caught:
        new_client(base_url=server.url).campaigns.list()

    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 86400 * 365
    assert len(server.requests) == 1


def test_retry_after_without_a_date_uses_this_machine_s_clock(serve: Serve, new_client: NewClient) -> None:
    soon = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    server = serve(lambda _: [answer({}, "429 Too Many Requests", Retry_After=soon)])

    with pytest.raises(RateLimitedError) as caught:
        new_client(base_url=server.url).campaigns.list()
    assert 3590 < (caught.value.retry_after or 0) <= 3600


def test_retry_after_uses_the_server_s_clock(serve: Serve, new_client: NewClient) -> None:
    when = {"Retry_After": "Sat, 01 Jan 2000 01:00:00 GMT", "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}
    server = serve(lambda _: [answer({}, "429 Too Many Requests", **when)])

    with pytest.raises(RateLimitedError) as caught:
        new_client(base_url=server.url).campaigns.list()
    assert caught.value.retry_after == 3600


@each_api
@pytest.mark.parametrize("status", [500, 503])
def test_an_add_is_read_back_only_after_retry_after(
    sandbox: Sandbox, waitless: WaitlessClient, campaign: CampaignUnderTest, api_version: str, status: int
) -> None:
    sandbox.fault(ADDS[api_version].operation, "status", status=status, retry_after=60, when="after")

    waitless.prospects.add(campaign.id, BO)

    assert len(waitless.waits) == 1
    assert 60 <= waitless.waits[0] <= 60.5
    assert addresses(sandbox) == ["bo@example.com"]


@each_api
def test_an_add_is_read_back_after_the_settling_time_of_a_504(
    sandbox: Sandbox, waitless: WaitlessClient, campaign: CampaignUnderTest, api_version: str
) -> None:
    sandbox.fault(ADDS[api_version].operation, "status", status=504)

    waitless.prospects.add(campaign.id, BO)

    assert waitless.waits[0] >= Policy().settling_time
    assert addresses(sandbox) == ["bo@example.com"]


# Timeouts


@every_read_of_each_api
def test_a_slow_read_times_out_and_is_retried(
    sandbox: Sandbox, new_client: NewClient, scene: Scene, call: Documented
) -> None:
    call.make(new_client(), scene)
    calm_requests = len(sandbox.requests)
    sandbox.fault(call.operation, "slow", seconds=3)
    before = time.monotonic()

    call.make(new_client(timeout=0.2), scene)

    assert time.monotonic() - before < 2.5
    assert len(sandbox.requests) == 2 * calm_requests + 1


@each_api
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_add_that_is_carried_out_after_the_timeout_is_found(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, api_version: str, when: str
) -> None:
    sandbox.fault(ADDS[api_version].operation, "slow", seconds=0.4, when=when)
    patient = Policy(settling_time=0.7, backoff=0.001)

    added = new_client(timeout=0.2, policy=patient).prospects.add(campaign.id, BO)

    assert addresses(sandbox) == ["bo@example.com"]
    assert added["id"] == sandbox.people()[0].id
    assert writes(sandbox) == ["POST"]


@each_api
def test_the_last_attempt_waits_for_the_settling_time_too(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, api_version: str
) -> None:
    sandbox.fault(ADDS[api_version].operation, "slow", seconds=0.4, when="before")

    new_client(timeout=0.2, policy=Policy(max_attempts=1, settling_time=0.7)).prospects.add(campaign.id, BO)

    assert addresses(sandbox) == ["bo@example.com"]


def test_a_server_that_never_answers_is_a_clear_error(sandbox: Sandbox, new_client: NewClient) -> None:
    sandbox.fault("campaigns", "slow", seconds=5, times=None)

    with pytest.raises(ConnectionFailedError, match="no answer in time"):
        new_client(timeout=0.05, policy=Policy(max_attempts=2, backoff=0.001)).campaigns.list()


# Never sent


def test_a_server_that_is_down(new_client: NewClient, campaign: CampaignUnderTest, sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(ConnectionFailedError, match=r"Nothing was sent .* does not accept connections"):
        new_client(base_url=f"http://127.0.0.1:{port}").prospects.add(campaign.id, BO)
    assert sandbox.requests == []


def test_a_connection_that_is_never_accepted_sends_nothing(new_client: NewClient) -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"

        with pytest.raises(ConnectionFailedError, match=r"Nothing was sent .* did not accept the connection in time"):
            new_client(base_url=url, timeout=0.1, policy=Policy(max_attempts=2, backoff=0.001)).campaigns.list()


def test_a_server_that_comes_up_late_gets_the_add(new_client: NewClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    started: list[Sandbox] = []

    def start() -> None:
        time.sleep(0.2)  # noqa: TID251
        started.append(Sandbox(port=port, key="k", seed={"campaigns": [{"id": "c1", "name": "Spring"}]}).__enter__())

    threading.Thread(target=start).start()
    patient = Policy(max_attempts=200, backoff=0.02, longest_backoff=0.05)
    try:
        new_client(api_key="k", base_url=f"http://127.0.0.1:{port}", policy=patient).prospects.add("c1", BO)
        assert addresses(started[0]) == ["bo@example.com"]
    finally:
        for late in started:
            late.__exit__(None, None, None)


@pytest.mark.parametrize("host", ["a..b", "*.example.com", "a" * 64 + ".com", "ex\u00a0ample.com"])
def test_an_invalid_host_name_is_not_retried(new_client: NewClient, host: str) -> None:
    with pytest.raises(ConnectionFailedError, match=r"Nothing was sent .* the root URL does not name a server"):
        new_client(base_url=f"https://{host}").campaigns.list()


def test_a_host_name_that_does_not_resolve(new_client: NewClient) -> None:
    with pytest.raises(ConnectionFailedError, match="Nothing was sent"):
        new_client(base_url="https://salesblink.invalid").campaigns.list()


# Redirects


@every_call_of_each_api
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_carries_the_key_to_another_host(
    serve: Serve, new_client: NewClient, call: Documented, status: int
) -> None:
    elsewhere = serve(lambda _: [answer([])])
    here = serve(lambda _: [answer(status=f"{status} Elsewhere", Location=f"{elsewhere.url}/api/campaigns")])

    with pytest.raises(SalesBlinkError) as caught:
        call.make(new_client(base_url=here.url), Scene("c1", "p1"))

    assert elsewhere.connections == 0
    assert caught.value.status == status
    # A call that reads first never gets to its write.
    if call.after_loss != "repeat" and here.requests[0].method != "GET":
        assert isinstance(caught.value, AmbiguousWriteError)
    else:
        assert isinstance(caught.value, UnreadableResponseError)
        assert len(here.requests) == 1


@pytest.mark.parametrize("location", ["http://[bad", "\xff\xfe", "http://a:b:c/", "//\x7f", "", "?", "http://\xc4\x80"])
def test_a_redirect_to_an_invalid_url_is_a_redirect(serve: Serve, new_client: NewClient, location: str) -> None:
    server = serve(lambda _: [answer(status="302 Found", Location=location)])

    with pytest.raises(UnreadableResponseError, match="it is a redirect"):
        new_client(base_url=server.url).campaigns.list()


# Connections


def test_two_hundred_calls_need_one_connection(sandbox: Sandbox, client: SalesBlinkClient, scene: Scene) -> None:
    for number in range(50):
        client.prospects.add(scene.campaign, {"Email": f"p{number}@example.com"})
        client.prospects.get(scene.prospect)
        client.prospects.search(ANA)
        with pytest.raises(NotFoundError):
            client.campaigns.get("nothing")

    assert len(sandbox.requests) == 200
    assert len({request.connection for request in sandbox.requests}) == 1


def test_a_connection_that_the_server_has_closed_is_replaced(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({"success": True}), "close"])
    client = new_client(base_url=server.url)

    for _ in range(5):
        client.prospects.add("c1", BO)
        time.sleep(0.02)  # noqa: TID251

    assert [request.method for request in server.requests] == ["POST"] * 5
    assert server.connections == 5


def test_a_connection_that_the_server_closes_at_the_same_moment_is_in_doubt(
    serve: Serve, new_client: NewClient
) -> None:
    people: list[dict[str, str]] = []

    def script(request: Received) -> Iterable[Piece]:
        if request.method == "GET":
            yield answer(people)
        elif len(server.sent("POST")) == 2:
            # To the client, it looks as if the server closed before reading the request.
            yield "close"
        else:
            people.append({"id": str(len(people)), **request.body["data"]})
            yield answer({"success": True})

    server = serve(script)
    client = new_client(base_url=server.url)
    client.prospects.add("c1", {"Email": ANA})
    client.prospects.add("c1", BO)

    assert [person["Email"] for person in people] == [ANA, "bo@example.com"]
    assert [request.method for request in server.requests] == ["POST", "POST", "GET", "POST"]


@pytest.mark.parametrize("interim", [b"102 Processing", b"103 Early Hints"])
def test_the_answer_after_an_interim_one_is_not_taken_for_the_next_call_s(
    serve: Serve, new_client: NewClient, interim: bytes
) -> None:
    def script(request: Received) -> Iterable[Piece]:
        yield b"HTTP/1.1 " + interim + b"\r\nLink: </style.css>\r\n\r\n"
        yield 0.02
        yield answer([{"id": "1", "name": request.target.rpartition("=")[2]}])

    client = new_client(base_url=serve(script).url)
    for term in ("spring", "autumn", "winter"):
        try:
            names = [each["name"] for each in client.campaigns.search(term)]
        except UnreadableResponseError:
            continue
        assert names == [term]


def test_a_continue_before_the_answer_is_ignored(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [b"HTTP/1.1 100 Continue\r\n\r\n" + answer([{"id": "1"}])])

    assert new_client(base_url=server.url).campaigns.list()[0]["id"] == "1"


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content"])
def test_an_answer_without_content(serve: Serve, new_client: NewClient, status: str) -> None:
    added: list[Any] = []

    def script(request: Received) -> Iterable[bytes]:
        if request.method == "POST":
            added.append(request.body["data"])
            yield f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
        else:
            yield answer(added) if "prospects" in request.target else answer(status=status)

    server = serve(script)
    client = new_client(base_url=server.url)

    assert client.prospects.add("c1", BO)["email"] == "bo@example.com"
    assert added == [BO]
    # A 204 means success. A 205 does not show it, so the client reads back.
    assert len(server.requests) == (1 if status.startswith("204") else 2)
    with pytest.raises(UnreadableResponseError):
        client.campaigns.list()


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted"])
def test_any_success_status_is_a_success(serve: Serve, new_client: NewClient, status: str) -> None:
    server = serve(lambda _: [answer({"success": True}, status)])

    new_client(base_url=server.url).prospects.add("c1", BO)

    assert len(server.requests) == 1


def test_an_http_1_0_server(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [b'HTTP/1.0 200 OK\r\n\r\n[{"id": "1"}]', "close"])
    client = new_client(base_url=server.url)

    assert [client.campaigns.list()[0]["id"] for _ in range(3)] == ["1", "1", "1"]


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"\x00\x01\x02\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n[]",
    ],
)
def test_an_answer_that_is_not_http_is_a_failed_connection(serve: Serve, new_client: NewClient, noise: bytes) -> None:
    server = serve(lambda _: [noise, "close"])

    with pytest.raises(ConnectionFailedError):
        new_client(base_url=server.url).campaigns.list()


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_a_broken_body_is_not_an_empty_list(serve: Serve, new_client: NewClient, broken: bytes) -> None:
    with pytest.raises(ConnectionFailedError):
        new_client(base_url=serve(lambda _: [broken, "close"]).url).campaigns.list()


def test_ipv6_loopback(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer([{"id": "1"}])], family=socket.AF_INET6)

    assert new_client(base_url=server.url).campaigns.list()[0]["id"] == "1"
    assert server.requests[0].headers["host"] == server.url.removeprefix("http://")


def test_cookies_are_not_kept(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer([{"id": "1"}], Set_Cookie="session=1; Path=/")])
    client = new_client(base_url=server.url)

    client.campaigns.list()
    client.campaigns.list()

    assert "cookie" not in server.requests[1].headers


def test_a_closed_client_can_be_used_again(sandbox: Sandbox, client: SalesBlinkClient, scene: Scene) -> None:
    client.campaigns.get(scene.campaign)
    client.close()
    client.campaigns.get(scene.campaign)

    assert len({request.connection for request in sandbox.requests}) == 2


# Threads and processes


def test_threads_share_a_client(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    for kind in ("reset", "status"):
        sandbox.fault("prospect-add", kind, when="after", status=500, share=0.1)
    people = [f"p{number}@example.com" for number in range(160)]

    def add(email: str) -> str | None:
        return client.prospects.add(campaign.id, {"Email": email})["email"]

    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(add, people))

    assert added == people
    assert sorted(addresses(sandbox)) == sorted(people)


FORKING = """
import os, sys
from airflow_provider_salesblink.client import SalesBlinkClient
client = SalesBlinkClient(sys.argv[1], sys.argv[2])
client.campaigns.list()
child = os.fork()
client.campaigns.search("child" if child == 0 else "parent")
client.prospects.add(sys.argv[3], {"Email": "child@example.com" if child == 0 else "parent@example.com"})
if child == 0:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_opens_connections_of_its_own(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKING, sandbox.key, sandbox.url, campaign.id],
        check=True, cwd=ROOT, timeout=60, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip

    first, *others = sandbox.requests
    words = {"term=child": "child", "term=parent": "parent"}
    connections = {words[request.query]: request.connection for request in others if request.query}
    assert connections["parent"] == first.connection
    assert connections["child"] != first.connection
    assert sorted(addresses(sandbox)) == ["child@example.com", "parent@example.com"]


# TLS, proxies and the environment


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """The server side of TLS for 127.0.0.1, and the file with its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    folder = tmp_path_factory.mktemp("tls")
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context, folder / "certificate.pem"


@pytest.fixture
def trusted(tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[1]))
    return tls[0]


def test_a_server_with_a_certificate(serve: Serve, new_client: NewClient, trusted: ssl.SSLContext) -> None:
    server = serve(lambda _: [answer([{"id": "1"}])], tls=trusted)

    assert new_client(base_url=server.url).campaigns.list()[0]["id"] == "1"


def test_a_server_without_a_trusted_certificate_gets_nothing(
    serve: Serve, new_client: NewClient, tls: tuple[ssl.SSLContext, Path]
) -> None:
    server = serve(lambda _: [answer([{"id": "1"}])], tls=tls[0])

    with pytest.raises(ConnectionFailedError, match=r"Nothing was sent .* certificate is not trusted"):
        new_client(base_url=server.url).prospects.add("c1", BO)
    assert server.requests == []
    assert server.connections == 1

    with pytest.warns(Warning, match="Unverified HTTPS request"):
        assert new_client(base_url=server.url, verify_tls=False).campaigns.list()[0]["id"] == "1"


def test_the_error_says_that_a_server_does_not_use_tls(new_client: NewClient, sandbox: Sandbox) -> None:
    url = sandbox.url.replace("http://", "https://")

    with pytest.raises(ConnectionFailedError, match=rf"does not use TLS; .*http:// .*check the root URL \({url}\)"):
        new_client(base_url=url).campaigns.list()
    assert sandbox.requests == []


def losing(end: Piece) -> tuple[Script, list[dict[str, Any]]]:
    people: list[dict[str, Any]] = []

    def script(request: Received) -> Iterable[Piece]:
        if request.method == "GET":
            yield answer(people)
        else:
            people.append({"id": "1", **request.body["data"]})
            yield end

    return script, people


@pytest.mark.parametrize("end", ["reset", "close"])
def test_an_answer_lost_behind_a_proxy_adds_nobody_twice(
    serve: Serve, new_client: NewClient, trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, end: Piece
) -> None:
    script, people = losing(end)
    proxy = serve(script, tls=trusted, proxy=True)
    monkeypatch.setenv("https_proxy", proxy.url)

    new_client(base_url="https://127.0.0.1:1").prospects.add("c1", BO)

    assert [person["Email"] for person in people] == ["bo@example.com"]
    assert proxy.tunnels[0] == "127.0.0.1:1"


def test_a_proxy_that_is_down_or_refuses_sends_nothing(
    serve: Serve, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        absent = f"http://127.0.0.1:{gone.getsockname()[1]}"
    refusing = serve(lambda _: [answer(status="407 Proxy Authentication Required")])

    for proxy in (absent, refusing.url):
        monkeypatch.setenv("https_proxy", proxy)
        with pytest.raises(ConnectionFailedError, match=r"Nothing was sent .* the proxy refused the connection"):
            new_client(base_url="https://127.0.0.1:1").prospects.add("c1", BO)


@every_call
def test_requests_to_this_machine_never_use_a_proxy(
    sandbox: Sandbox, serve: Serve, new_client: NewClient, scene: Scene, monkeypatch: pytest.MonkeyPatch,
    call: Documented,
) -> None:  # fmt: skip
    proxy = serve(lambda _: [answer([])])
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)

    call.make(new_client(), scene)

    assert proxy.connections == 0
    assert all(request.authorized for request in sandbox.requests)


def test_netrc_does_not_replace_the_key(
    sandbox: Sandbox, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    new_client().campaigns.list()

    assert sandbox.requests[0].authorized
