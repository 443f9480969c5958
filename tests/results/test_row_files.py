"""Rows in files: any number of them, and any text."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from pyarrow import parquet

from airflow_provider_salesblink.results.row_files import ROW_GROUP, write_rows

COLUMNS = {"id": "text", "is_out": "boolean", "fields": "json"}
ROWS = [
    {"id": "\ud800=1", "is_out": None, "fields": {"Note": "\udfff@SUM(A1)\u2028é"}},
    {"id": None, "is_out": True, "fields": None},
]


def test_a_parquet_file_has_a_row_group_for_each_part_and_the_rows_in_their_order() -> None:
    file = BytesIO()

    write_rows(file, ({"id": str(each), "is_out": False, "fields": {}} for each in range(25_000)), COLUMNS, "parquet")

    written = parquet.ParquetFile(file)
    groups = [written.metadata.row_group(each).num_rows for each in range(written.num_row_groups)]
    assert groups == [ROW_GROUP, ROW_GROUP, 5_000]
    assert written.read().column("id").to_pylist() == [str(each) for each in range(25_000)]


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_the_same_rows_make_the_same_bytes(file_format: str) -> None:
    first, second = BytesIO(), BytesIO()

    for file in (first, second):
        write_rows(file, ROWS, COLUMNS, file_format)  # type: ignore[arg-type]

    assert first.getvalue() == second.getvalue() != b""


def test_both_formats_keep_every_text() -> None:
    lines, table = BytesIO(), BytesIO()

    write_rows(lines, ROWS, COLUMNS, "jsonl")
    write_rows(table, ROWS, COLUMNS, "parquet")

    assert [json.loads(line) for line in lines.getvalue().splitlines()] == ROWS
    first, second = parquet.ParquetFile(table).read().to_pylist()
    # Parquet has no halves of surrogate pairs, except as escapes in JSON text.
    assert first["id"] == "\\ud800=1"
    assert json.loads(first["fields"]) == ROWS[0]["fields"]
    assert second == ROWS[1]
    assert "\u2028" not in lines.getvalue().decode()
