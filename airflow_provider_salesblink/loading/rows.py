"""The sources of people: mappings, a CSV, JSON or Parquet file, or the result of a query, each read as a stream.

A problem of one row makes that row a :class:`Reject`. A problem of the whole file is an error. It is raised before
anything is sent, because the plan is made of all rows first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.column_names import ColumnNames
from airflow_provider_salesblink.loading.csv_rows import from_csv
from airflow_provider_salesblink.loading.json_rows import from_jsonl
from airflow_provider_salesblink.loading.parquet_rows import from_parquet
from airflow_provider_salesblink.loading.row_types import LONGEST_CELL, Reject, Row, Source
from airflow_provider_salesblink.loading.sql_errors import QueryFailedError
from airflow_provider_salesblink.loading.sql_rows import from_query

__all__ = [
    "LONGEST_CELL",
    "ColumnNames",
    "QueryFailedError",
    "Reject",
    "Row",
    "Source",
    "from_csv",
    "from_jsonl",
    "from_mappings",
    "from_parquet",
    "from_query",
]


def from_mappings(items: Iterable[object], names: ColumnNames) -> Source:
    """Yield the rows of a list or a generator: one mapping of columns to values each, counted from 1.

    :raises InvalidInputError: when ``items`` has no rows.
    """
    if isinstance(items, Mapping | str) or not isinstance(items, Iterable):
        raise InvalidInputError(f"rows is a {type(items).__name__}, not a list of mappings of columns to values.")
    for number, item in enumerate(items, start=1):
        if not isinstance(item, Mapping):
            yield Reject(number, f"It is a {type(item).__name__}, not a mapping of columns to values.", {"row": item})
        elif (row := names.of_record(number, item)) is not None:
            yield row
    names.conclude()
