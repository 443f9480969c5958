"""What the code on the pages needs to run: a SalesBlink with a campaign, a file of leads, a warehouse."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

CAMPAIGN = "spring-2027"
LEADS = "Email,First Name\ngita@example.com,Gita\njun@example.com,Jun\n"
PEOPLE = [
    ("gita@example.com", "Gita", "Hooli", "NL"),
    ("jun@example.com", "Jun", None, "NL"),
    ("kai(at)example.com", "Kai", "Wayne", "NL"),
    ("eve@example.com", "Eve", "Initech", "NL"),
    ("dai@example.com", "Dai", "Globex", "JP"),
]


@pytest.fixture
def place(sandbox: Sandbox, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder to run code in. Eve is in the campaign, and unsubscribed."""
    connection()
    sandbox.add_campaign("Spring 2027", id=CAMPAIGN)
    sandbox.add_person(CAMPAIGN, {"Email": "eve@example.com"}, unsubscribed=True)
    monkeypatch.setenv("SALESBLINK_URL", sandbox.url)
    monkeypatch.setenv("SALESBLINK_KEY", sandbox.key)
    (tmp_path / "leads.csv").write_text(LEADS)
    (tables,) = blocks(DOCS / "from-reverse-etl.md", "sql")
    with closing(sqlite3.connect(tmp_path / "warehouse.db")) as warehouse, warehouse:
        warehouse.executescript(tables.text)
        warehouse.execute("CREATE TABLE people (mail, given_name, company, country)")
        warehouse.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", PEOPLE)
    return tmp_path


@pytest.fixture
def conf(place: Path) -> dict[str, str]:
    """Return params for the DAGs on the pages that lead to the files of the folder."""
    return {
        "leads": f"file://{place}/leads.csv",
        "rejected": f"file://{place}/rejected.jsonl",
        "warehouse": str(place / "warehouse.db"),
        "folder": f"file://{place}/salesblink",
    }
