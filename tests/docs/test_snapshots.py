"""The SQL on the page about snapshots makes a table of the people out of the files of changes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.operators.prospects import ListProspectsOperator
from airflow_provider_salesblink.results import snapshot_changes, snapshots
from tests.apis import BOTH
from tests.docs.pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

PAGE = DOCS / "snapshots.md"
TABLES, MERGE = (block.text for block in blocks(PAGE, "sql"))
STAGED = ("change", "time", "campaign_id", "id", "email", "unsubscribed", "status", "fields")


def test_the_row_on_the_page_has_the_columns_of_a_row() -> None:
    (row,) = (json.loads(block.text) for block in blocks(PAGE) if block.text.startswith("{"))

    assert list(row) == list(snapshot_changes.COLUMNS)


def test_the_page_names_every_column() -> None:
    text = PAGE.read_text()

    assert all(f"`{name}`" in text for name in (*snapshots.COLUMNS, *snapshot_changes.COLUMNS))


@pytest.mark.apis(*BOTH)
@pytest.mark.parametrize("order", [*permutations("abc"), "aabbccab"])
def test_the_merged_files_are_the_people_of_the_campaign_in_any_order(
    order: str,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    client: SalesBlinkClient,
    connection: Callable[..., None],
    tmp_path: Path,
) -> None:
    connection()
    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})
    look(campaign, tmp_path / "a.jsonl")
    client.prospects.unsubscribe(ana)
    look(campaign, tmp_path / "b.jsonl")
    sandbox._store.leads.delete(ben)
    sandbox._store.run("UPDATE planned SET removed = 1 WHERE lead_id = ?", ben)
    cem = sandbox.add_person(campaign.id, {"Email": "cem@example.com"})
    client.prospects.update(ana, {"Company": "Acme"})
    look(campaign, tmp_path / "c.jsonl")

    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(TABLES)
        for name in order:
            load(database, tmp_path / f"{name}.jsonl")
        found = {row[0]: row[1:] for row in database.execute("SELECT id, unsubscribed, has_left, fields FROM person")}

    assert {key: (out, left) for key, (out, left, _) in found.items()} == {ana: (1, 0), ben: (0, 1), cem: (0, 0)}
    assert json.loads(found[ana][2])["Company"] == "Acme"


def look(campaign: CampaignUnderTest, path: Path) -> None:
    ListProspectsOperator(task_id="people", campaign_id=campaign.id, output_path=str(path), changes_only=True).execute(
        {}
    )


def load(database: sqlite3.Connection, path: Path) -> None:
    database.execute("DELETE FROM person_change")
    for line in path.read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        cells = [json.dumps(row[name]) if name == "fields" else row[name] for name in STAGED]
        names = ", ".join(STAGED)
        database.execute(f"INSERT INTO person_change ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", cells)  # noqa: S608
    database.executescript(MERGE)
