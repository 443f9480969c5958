"""The joins on the page about loads find the outcome of each person of a table."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.operators.loads import AddProspectsOperator
from tests.apis import BOTH
from tests.docs.pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

LEADS = [
    (3, "ana@example.com"),
    (5, "nobody"),
    (8, '"Bo" <Bo@Example.com>'),
    (9, None),
    (12, "ANA@example.com"),
    (20, "mailto:cy@example.com"),
]
TABLES, BY_ROW, BY_PERSON = (block.text for block in blocks(DOCS / "loading.md", "sql"))


def function(name: str) -> Callable[..., None]:
    """Return a function that the page defines."""
    (code,) = [block.text for block in blocks(DOCS / "loading.md") if f"def {name}(" in block.text]
    names: dict[str, Any] = {}
    exec(dedent(code), names)  # noqa: S102
    found: Callable[..., None] = names[name]
    return found


@pytest.fixture
def database(
    campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sqlite3.Connection]:
    """A database with leads, and with the outcomes of loading them."""
    connection()
    place, outcomes = str(tmp_path / "warehouse.db"), str(tmp_path / "outcomes.jsonl")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": place}))
    with closing(sqlite3.connect(place)) as opened:
        opened.executescript(TABLES)
        with opened:
            # Not in the order of their ids.
            opened.executemany("INSERT INTO lead (id, email) VALUES (?, ?)", LEADS[::-1])
        AddProspectsOperator(
            task_id="load", campaign_id=campaign.id, sql="SELECT email FROM lead ORDER BY id", sql_conn_id="warehouse",
            outcomes_path=outcomes, max_rejected=2,
        ).execute({})  # fmt: skip
        function("store_outcomes")(outcomes, opened)
        function("store_outcomes")(outcomes, opened)
        yield opened


def test_by_row_each_lead_has_its_outcome(database: sqlite3.Connection) -> None:
    found = database.execute(BY_ROW).fetchall()

    words = ["added", "rejected", "added", "rejected", "repeats", "added"]
    assert [(lead, word) for lead, word, _ in found] == [
        (lead, word) for (lead, _), word in zip(LEADS, words, strict=True)
    ]
    assert all(bool(reason) == (word == "rejected") for _, word, reason in found if word != "repeats")


def test_by_person_each_lead_with_an_address_has_the_outcome_of_the_person(database: sqlite3.Connection) -> None:
    function("store_hashes")(database)

    found = [(lead, word) for lead, word, _ in database.execute(BY_PERSON).fetchall()]

    assert found == [(3, "added"), (8, "added"), (12, "added"), (20, "added")]
