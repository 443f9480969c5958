"""A source that is wrong stops a load before anything is sent."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError, RateLimitedError
from airflow_provider_salesblink.loading import Guards, LoadFailedError
from tests.apis import BOTH
from tests.loading.people import people, writes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Mode, Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)


@pytest.fixture
def inhabited(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    for columns in people(20):
        sandbox.add_person(campaign.id, {**columns, "First Name": "Old"})


def changed(many: int) -> list[dict[str, str]]:
    """Rows of people in the campaign, so many of them with other columns."""
    return [{**row, "First Name": "New" if number < many else "Old"} for number, row in enumerate(people(20))]


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize(("mode", "limit", "allowed"), [
    *((mode, limit, 3) for mode in ("insert", "upsert", "mirror") for limit in (3, 0.15)),
    ("upsert", "3", 3), ("upsert", " 3 ", 3), ("upsert", 0, 0), ("upsert", "0.15", 3), ("upsert", ".15", 3),
    ("upsert", Decimal("0.15"), 3), ("upsert", 0.19, 3), ("upsert", 0.0, 0), ("upsert", 1, 1), ("upsert", "1", 1),
    ("upsert", 1e-05, 0),
])  # fmt: skip
def test_more_adds_than_the_limit_stop_the_load_in_any_mode(
    mode: Mode, limit: Any, allowed: int, load_rows: Callable[..., Report], sandbox: Sandbox
) -> None:
    rows = [*changed(0), *people(allowed + 1, start=20)]

    with pytest.raises(
        LoadFailedError, match=f"The load would add {allowed + 1} people, more than max_adds="
    ) as failed:
        load_rows(rows, mode=mode, max_adds=limit)

    assert failed.value.permanent
    assert "nothing was sent. Check the source, or allow more." in str(failed.value)
    assert writes(sandbox) == []
    assert load_rows(rows[:-1], mode=mode, max_adds=limit, opt_out_scope="campaign").added == allowed


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize("mode", ["upsert", "mirror"])
@pytest.mark.parametrize(("limit", "allowed"), [(2, 2), (0.1, 2), (1.0, 20), ("1.", 20)])
def test_more_updates_than_the_limit_stop_the_load(
    mode: Mode, limit: Any, allowed: int, load_rows: Callable[..., Report], sandbox: Sandbox
) -> None:
    if allowed < 20:
        with pytest.raises(
            LoadFailedError, match=f"would update {allowed + 1} people, more than max_updates="
        ) as failed:
            load_rows(changed(allowed + 1), mode=mode, max_updates=limit)
        assert "nothing was sent" in str(failed.value)
        assert writes(sandbox) == []

    assert load_rows(changed(allowed), mode=mode, max_updates=limit).updated == allowed


@pytest.mark.usefixtures("inhabited")
def test_the_error_and_the_log_say_what_would_have_happened(
    load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    with pytest.raises(LoadFailedError) as failed:
        load_rows([*changed(0), *people(2_000, start=20)], max_adds=0.5)

    assert str(failed.value) == (
        "The load would add 2,000 people, more than max_adds=0.5 allows (10 of the 20 in the campaign); nothing was "
        "sent. Check the source, or allow more."
    )
    assert "holds 20 people; 2,020 rows: 2,000 to add, 0 to update, 0 to unsubscribe, 20 there" in caplog.text


def test_a_share_of_an_empty_campaign_is_nobody(load_rows: Callable[..., Report], sandbox: Sandbox) -> None:
    with pytest.raises(LoadFailedError, match="pass a number of people: a share of an empty campaign is nobody"):
        load_rows(people(1), max_adds=1.0)

    assert writes(sandbox) == []
    assert load_rows(people(2), max_adds=2).added == 2


@pytest.mark.usefixtures("inhabited")
def test_a_dry_run_checks_the_limits_too(
    load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    with pytest.raises(LoadFailedError, match="more than max_adds=1 allows"):
        load_rows(people(2, start=20), client=new_client(dry_run=True), max_adds=1)


@pytest.mark.apis("classic")
@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize("limit", [10, 0.5])
def test_the_limit_is_that_of_all_parts_of_a_load(
    limit: float, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient], tmp_path: Path
) -> None:
    paced = new_client(writes_per_minute=4, pacing_url=f"file://{tmp_path}/pace.sqlite")
    options = {"max_adds": limit, "opt_out_scope": "campaign"}

    with pytest.raises(RateLimitedError) as limited:
        load_rows(people(10, start=20), client=paced, longest_wait=1, **options)
    done = limited.value.report.done()
    with pytest.raises(LoadFailedError, match=r"would add 11 people.*; nothing more was sent"):
        load_rows(people(11, start=20), done_before=done, **options)

    assert load_rows(people(10, start=20), done_before=done, **options).added == 10


@pytest.mark.parametrize("argument", ["max_adds", "max_updates"])
@pytest.mark.parametrize(
    "value", [True, False, -1, -0.1, 1.5, 100.0, "10%", "", "None", "-1", "1.5", "1,000", "nan", float("nan"), [1], "٣"]
)  # fmt: skip
def test_what_is_neither_a_number_nor_a_share_is_refused_without_showing_it(argument: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"^{argument} is neither a whole number, such as 1000, nor a share"):
        Guards(**{argument: value})
