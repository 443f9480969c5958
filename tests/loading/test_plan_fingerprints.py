"""The file of a plan, and holding a load to it, without Airflow."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.loading.plan_fingerprints import ApprovedPlan, PlanFile
from airflow_provider_salesblink.loading.planned_load import masked
from tests.apis import BOTH
from tests.loading.people import people, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.loading.planned_load import PlannedLoad
    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = pytest.mark.apis(*BOTH)

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


class Plans:
    """Makes plans of loads."""

    def __init__(self, new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report]) -> None:
        self._new_client = new_client
        self.load_rows = load_rows

    def make(self, rows: Any, *, hash_key: str = "", **options: Any) -> tuple[list[str], str]:
        """Return the lines of the plan of a load, and its digest."""
        made: list[tuple[list[str], str]] = []

        def keep(planned: PlannedLoad) -> None:
            file = PlanFile(planned, {}, NOW)
            made.append((list(file.lines()), file.digest))

        client = self._new_client(dry_run=True, hash_key=hash_key)
        self.load_rows(rows, client=client, on_plan=keep, **options)
        return made[0]

    def load(self, rows: Any, lines: list[str], digest: str, **options: Any) -> Report:
        """Run a load that is held to a plan."""
        approved = ApprovedPlan(lines, digest, NOW.isoformat())
        return self.load_rows(rows, on_plan=lambda planned: approved.check(planned, {}), **options)


@pytest.fixture
def plans(new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report]) -> Plans:
    return Plans(new_client, load_rows)


@pytest.mark.parametrize(("mode", "fingerprints"), [("insert", 1), ("upsert", 3)])
def test_a_plan_has_a_fingerprint_for_each_person_and_each_cell_that_may_be_written(
    plans: Plans, mode: str, fingerprints: int
) -> None:
    (head, rest, *lines), _ = plans.make([{"Email": "ana@example.com", "Company": "Acme", "City": "Oslo"}], mode=mode)

    assert json.loads(head)["planned_at"] == "2026-11-26T12:00:00+00:00"
    assert json.loads(rest)["counts"]["add"] == 1
    assert len(lines) == fingerprints
    assert lines == sorted(lines)
    assert all(len(bytes.fromhex(line)) == 12 for line in lines)


def test_fingerprints_need_the_key(plans: Plans) -> None:
    own, other = plans.make(people(3), hash_key="a")[0], plans.make(people(3), hash_key="b")[0]

    assert not set(own[2:]) & set(other[2:])
    assert plans.make(people(3), hash_key="a")[0] == own


def test_a_load_does_what_was_planned(plans: Plans) -> None:
    assert plans.load(people(9), *plans.make(people(9))).added == 9


def test_who_is_not_in_the_plan_stops_the_load_by_row(plans: Plans, sandbox: Sandbox) -> None:
    plan = plans.make(people(2))

    with pytest.raises(LoadFailedError) as failed:
        plans.load(people(20), *plan)

    assert str(failed.value).startswith(
        "The load would do more than was approved: add 18 people (rows 3, 4, 5, 6, 7, ...). These people are not in"
    )
    assert failed.value.permanent
    assert writes(sandbox) == []


@pytest.mark.parametrize("damage", [
    lambda lines: lines[:-1],
    lambda lines: [*lines, lines[-1]],
    lambda lines: [*lines, "not a hash\n"],
    lambda lines: [lines[0], *lines[2:]],
    lambda lines: [lines[0], lines[1].replace('"add": 3', '"add": 4'), *lines[2:]],
    lambda lines: lines[:1],
], ids=["cut off", "a line twice", "no fingerprint", "no options", "other counts", "only the head"])  # fmt: skip
def test_a_damaged_plan_stops_the_load(
    plans: Plans, sandbox: Sandbox, damage: Callable[[list[str]], list[str]]
) -> None:
    lines, digest = plans.make(people(3))

    with pytest.raises(LoadFailedError, match="The plan file of the approval has changed since"):
        plans.load(people(3), damage(lines), digest)
    assert writes(sandbox) == []


@pytest.mark.parametrize("lines", [[], ["\n"], ["[]\n"], ['{"format": "another"}\n'], ["Email,First Name\n"]], ids=str)
def test_another_file_stops_the_load(plans: Plans, sandbox: Sandbox, lines: list[str]) -> None:
    with pytest.raises(LoadFailedError, match="is not a plan file of this version"):
        plans.load(people(3), lines, "0" * 64)
    assert writes(sandbox) == []


@pytest.mark.apis("classic")
@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(("address", "shown"), [
    ("ana@example.com", "a*** at e***.com"), ("x@y.co.uk", "x*** at y***.uk"), ("ü@bü.example", "ü*** at b***.example"),
])  # fmt: skip
def test_a_masked_address_shows_two_letters_and_the_top_domain(address: str, shown: str) -> None:
    assert masked(address) == shown
