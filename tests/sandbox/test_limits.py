"""Rate limits."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Limits, SandboxUsageError

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call


def statuses(call: Call, times: int, path: str = "/api/campaigns") -> list[int]:
    return [call("GET", path).status_code for _ in range(times)]


def add(call: Call, campaign: str) -> int:
    return call("POST", "/api/prospect-add", json={"campaignID": campaign, "data": {}}).status_code


def test_requests_beyond_the_limit_change_nothing(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.limits = Limits(writes=2)

    assert [add(call, campaign) for _ in range(4)] == [200, 200, 429, 429]
    assert len(sandbox.people()) == 2


def test_reads_and_writes_have_separate_limits_shared_by_all_keys(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.limits = Limits(reads=1, writes=1)

    assert statuses(call, 2) == [200, 429]
    assert call("GET", "/api/campaigns", headers={"Authorization": sandbox.member_key}).status_code == 429
    assert add(call, campaign) == 200


def test_the_window_slides_and_refusals_do_not_count(sandbox: Sandbox, call: Call) -> None:
    sandbox.limits = Limits(reads=2, window=0.5)
    started = time.monotonic()

    while statuses(call, 1) == [200]:
        assert time.monotonic() - started < 0.4
    while statuses(call, 1) == [429]:
        assert time.monotonic() - started < 2

    assert time.monotonic() - started >= 0.5


def test_a_wrong_key_does_not_count(sandbox: Sandbox, call: Call) -> None:
    sandbox.limits = Limits(reads=1)

    assert call("GET", "/api/campaigns", headers={"Authorization": "wrong"}).status_code == 401
    assert statuses(call, 1) == [200]


def test_setting_limits_starts_a_new_window(sandbox: Sandbox, call: Call) -> None:
    sandbox.limits = Limits(reads=1)
    assert statuses(call, 2) == [200, 429]
    sandbox.limits = Limits(reads=1)
    assert statuses(call, 1) == [200]


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_retry_after(sandbox: Sandbox, call: Call, form: Any) -> None:
    sandbox.limits = Limits(reads=1, window=20, retry_after=form)
    statuses(call, 1)

    answered = call("GET", "/api/campaigns")

    assert answered.status_code == 429
    header = answered.headers.get("Retry-After")
    if form == "none":
        assert header is None
    elif form == "seconds":
        assert header in ("19", "20")
    else:
        assert header is not None
        assert header.endswith("GMT")
        assert 18 <= parsedate_to_datetime(header).timestamp() - time.time() <= 21


def test_text_form() -> None:
    assert Limits.parse("") == Limits(reads=0, writes=0)
    assert Limits.parse("real") == Limits(reads=30, writes=15, deletes=10)
    assert Limits.parse("reads=3,window=2.5,retry_after=date") == Limits(reads=3, window=2.5, retry_after="date")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("patches=3", "Known: reads, writes, deletes, window, retry_after"),
        ("reads=-1", "whole number"),
        ("window=0", "longer than 0"),
        ("window=nan", "at least 0"),
        ("retry_after=soon", "seconds, date, none"),
    ],
)
def test_an_error_lists_the_valid_values(text: str, named: str) -> None:
    with pytest.raises(SandboxUsageError, match=named):
        Limits.parse(text)
