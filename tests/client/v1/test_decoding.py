"""The answers of the API v1: every form that is known, and what is not an answer at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest

from airflow_provider_salesblink.client import InvalidInputError, NotFoundError, UnreadableResponseError
from airflow_provider_salesblink.client.v1 import decoding, times

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
NOON_MS = 1788264000000
FOUND = [{"id": "a"}, {"id": "b"}]


@pytest.mark.parametrize(
    "body",
    [
        FOUND,
        {"success": True, "data": FOUND},
        {"success": True, "data": FOUND, "lead": {"id": "p1"}, "total": 9},
        {"success": True, "data": {"contacts": FOUND, "total": 2}},
        {"success": True, "data": {"entries": FOUND}},
        {"success": True, "data": {"data": FOUND}},
        {"success": True, "data": {"result": FOUND, "messageIDs": ["m"]}},
    ],
)
def test_an_array_is_found_where_it_is(body: object) -> None:
    assert decoding.items(body) == FOUND


@pytest.mark.parametrize("body", [[], {"success": True, "data": []}, {"success": True, "data": None}])
def test_an_empty_array_is_empty(body: object) -> None:
    assert decoding.items(body) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"success": True},
        {"data": None},
        {"success": True, "data": {}},
        {"success": True, "data": "hello"},
        {"success": True, "data": ["hello"]},
        {"success": True, "data": {"data": {"data": {"data": FOUND}}}},
    ],
)
def test_no_array_is_an_error_and_never_an_empty_list(body: object) -> None:
    with pytest.raises(UnreadableResponseError):
        decoding.items(body)


def test_an_error_shows_no_keys_that_may_be_secret() -> None:
    with pytest.raises(UnreadableResponseError) as raised:
        decoding.items({"ana@example.com": 1, "secret-token-1": 2})

    assert "its keys: ..., ..." in str(raised.value)


@pytest.mark.parametrize("body", [{"id": "a"}, {"success": True, "data": {"id": "a"}}, {"data": [{"id": "a"}]}])
def test_a_record_is_found_where_it_is(body: object) -> None:
    assert decoding.record(body) == {"id": "a"}


def test_a_missing_record_is_an_error() -> None:
    with pytest.raises(NotFoundError):
        decoding.record({"success": True, "data": []})
    for body in ({"success": True}, {"success": True, "data": None}, {"data": FOUND}, [{"id": "a"}, {"id": "b"}]):
        with pytest.raises(UnreadableResponseError):
            decoding.record(body)


@pytest.mark.parametrize(
    ("wire", "time"),
    [
        (NOON_MS, NOON),
        (float(NOON_MS), NOON),
        (str(NOON_MS), NOON),
        ("2026-09-01T12:00:00.000Z", NOON),
        ("2026-09-01T14:00:00+02:00", NOON),
        ("2026-09-01 12:00", NOON),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (True, None),
        (10**30, None),
        ({}, None),
    ],
)
def test_times_are_aware_datetimes_or_none(wire: object, time: datetime | None) -> None:
    assert times.decoded(wire) == time
    assert decoding.items([{"time": wire, "date_created": wire}]) == [{"time": time, "date_created": time}]


def test_a_missing_time_stays_missing() -> None:
    assert decoding.items([{"last_activity": None}]) == [{"last_activity": None}]


def test_times_on_the_wire_are_milliseconds() -> None:
    berlin = timezone(timedelta(hours=2))
    assert times.milliseconds("since", NOON.astimezone(berlin)) == NOON_MS
    assert times.milliseconds("since", NOON + timedelta(microseconds=1999)) == NOON_MS + 1
    assert times.milliseconds("since", pendulum.instance(NOON).in_timezone("Europe/Berlin")) == NOON_MS
    assert times.milliseconds("since", datetime(1969, 12, 31, 23, 59, 59, 999_500, UTC)) == -1
    assert times.window(NOON, NOON) == {"from": str(NOON_MS), "to": str(NOON_MS)}
    assert times.window(None, None) == {}


@pytest.mark.parametrize("value", [datetime(2026, 9, 1), "2026-09-01", NOON_MS, NOON.date()])  # noqa: DTZ001
def test_a_time_without_a_zone_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="since"):
        times.window(value, None)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="since is after until"):
        times.window(NOON, NOON - timedelta(milliseconds=1))


def test_settings_keep_their_names_and_times_in_them_become_milliseconds() -> None:
    given = {"launchTimingMode": "now", "scheduledAt": NOON, "steps": [{"at": NOON}, {"days": 2}], "paused": False}

    assert times.encoded_settings(given) == {
        "launchTimingMode": "now", "scheduledAt": NOON_MS, "steps": [{"at": NOON_MS}, {"days": 2}], "paused": False,
    }  # fmt: skip
    for wrong in ({}, {"scheduledAt": NOON.replace(tzinfo=None)}, {"scheduledAt": NOON.date()}):
        with pytest.raises(InvalidInputError):
            times.encoded_settings(wrong)


@pytest.mark.parametrize(
    "found",
    [
        {"id": "p1", "email": "a@example.com", "first_name": "Ana", "company_name": "N", "job_title": "CTO", "plan": 1},
        {"id": "p1", "Email": "a@example.com", "First_Name": "Ana", "Company": "N", "Title": "CTO", "Plan": 1},
        {"_id": "p1",
         "EMAIL": "a@example.com", "First Name": "Ana", "Company_Name": "N", "Job_Title": "CTO", "Plan": 1},
        {"id": "p1", "email": "a@example.com", "first_name": "Ana", "company_name": "N", "job_title": "CTO",
         "custom_fields": {"Plan": 1}},
    ],
)  # fmt: skip
def test_a_leads_columns_are_in_snake_case(found: dict[str, Any]) -> None:
    lead = decoding.lead(found)

    assert {name: lead[name] for name in ("id", "email", "first_name", "company_name", "job_title", "plan")} == {
        "id": "p1", "email": "a@example.com", "first_name": "Ana", "company_name": "N", "job_title": "CTO", "plan": 1,
    }  # fmt: skip


def test_a_leads_column_never_takes_the_place_of_what_salesblink_says() -> None:
    found = {"id": "p1", "email": "a@example.com", "archived": False, "ID": "x", "Archived": "yes",
             "custom_fields": {"id": "y", "list_id": "z", "email": "b@example.com"}}  # fmt: skip

    assert decoding.lead(found) == {"id": "p1", "email": "a@example.com", "archived": False}


def test_the_newer_spelling_of_a_column_wins() -> None:
    assert decoding.lead({"First_Name": "old", "first_name": "new", "FIRST_NAME": "older"})["first_name"] == "new"


def test_a_leads_own_columns_are_not_read_as_times() -> None:
    lead = decoding.lead({"id": "p1", "time": 5, "last_activity": "never", "last_modified": NOON_MS})

    assert (lead["time"], lead["last_activity"], lead["last_modified"]) == (5, "never", NOON)


def test_a_lead_without_an_id_is_kept() -> None:
    assert decoding.lead({"email": "a@example.com"}) == {"id": None, "email": "a@example.com"}


def test_a_lead_of_a_sequence_shows_its_state_there() -> None:
    lead = decoding.lead_of_sequence(
        {"lead_id": "p1", "email": "a@example.com", "status": "replied", "last_task_time": NOON_MS}
    )

    assert lead == {"id": "p1", "lead_id": "p1", "email": "a@example.com", "status": "replied", "last_task_time": NOON}
    assert decoding.lead_of_sequence({"lead_id": None, "email": "a@example.com"})["id"] is None
