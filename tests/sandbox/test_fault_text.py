"""The text form of faults."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_salesblink.sandbox import Fault, SandboxUsageError
from airflow_provider_salesblink.sandbox.faults import parse_faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", []),
        ("campaigns=reset", [Fault("campaigns", "reset")]),
        (
            "prospect-add=reset:when=after@0.05,campaigns=429:retry_after=3x2, *=status:status=503x1",
            [
                Fault("prospect-add", "reset", when="after", share=0.05),
                Fault("campaigns", "429", retry_after=3, times=2),
                Fault("*", "status", status=503),
            ],
        ),
        ("reads=429x3,writes=429@1", [Fault("reads", "429", times=3), Fault("writes", "429", share=1)]),
        (
            "reads=429:retry_after=5:retry_after_form=date",
            [Fault("reads", "429", retry_after=5, retry_after_form="date")],
        ),
        (
            "*=redirect:location=http://127.0.0.1:8080/x?a=b%2Cc:dx2,my-team=html",
            [Fault("*", "redirect", location="http://127.0.0.1:8080/x?a=b%2Cc:d", times=2), Fault("my-team", "html")],
        ),
        ("*=slow:seconds=0.5:when=after", [Fault("*", "slow", seconds=0.5, when="after")]),
    ],
)
def test_text_is_parsed(text: str, faults: list[Fault]) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("campaign-list=reset", "Unknown operation 'campaign-list'. Known: campaigns, campaign, campaign-status"),
        ("campaigns=explode", "Unknown fault 'explode'. Known: reset, close, status, 429, slow"),
        ("campaigns=reset:soon=1", "Unknown option of a fault 'soon'. Known: when, status"),
        ("campaigns=reset:when=never", "Unknown when 'never'. Known: before, after"),
        ("campaigns=429:retry_after=1:retry_after_form=week", "Known: seconds, date"),
        ("campaigns", "Write operation=kind"),
        ("campaigns=reset,nonsense", "the fault 'nonsense'"),
        ("campaigns=status", "needs status="),
        ("campaigns=slow", "needs seconds="),
        ("campaigns=redirect", "needs location="),
        ("campaigns=reset@2", "share must be above 0"),
        ("campaigns=reset@0", "share must be above 0"),
        ("campaigns=reset@often", "must be a number"),
        ("campaigns=resetx0", "at least 1"),
        ("campaigns=status:status=99", "between 200 and 599"),
        ("campaigns=status:status=ok", "whole number"),
        ("campaigns=slow:seconds=-1", "at least 0"),
        ("campaigns=slow:seconds=inf", "at least 0"),
    ],
)
def test_an_error_lists_the_valid_values(text: str, named: str) -> None:
    with pytest.raises(SandboxUsageError) as caught:
        parse_faults(text)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kind": "reset"}, "reset"),
        ({"kind": "reset", "when": "after"}, "reset after"),
        ({"kind": "status", "status": 503, "when": "after"}, "status 503 after"),
        ({"kind": "429"}, "429"),
    ],
)
def test_how_the_request_log_describes_a_fault(options: dict[str, Any], text: str) -> None:
    assert str(Fault("*", **options)) == text
