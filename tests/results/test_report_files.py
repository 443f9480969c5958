"""Reading the files that a report is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.results.event_files import EVENT_COLUMNS, is_data_file, may_overlap, read_rows
from airflow_provider_salesblink.results.windows import Window
from tests.results.report_events import row, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    Rows = list[dict[str, object]]

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def read(path: Path) -> Rows:
    with path.open("rb") as file:
        return list(read_rows(file, path.name, EVENT_COLUMNS))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_format_has_the_same_rows(suffix: str, tmp_path: Path) -> None:
    rows = [row("sent", number, sequence_name=None if number % 2 else "Ünïcode 🚀") for number in range(12_345)]
    path = tmp_path / f"2026-11-02{suffix}"
    write_rows(path, rows)

    found = [{name: each[name] for name in EVENT_COLUMNS} for each in read(path)]

    assert found == [{name: each[name] for name in EVENT_COLUMNS} for each in rows]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_cut_off_is_an_error_that_shows_nothing_of_it(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"2026-11-02{suffix}"
    write_rows(path, [row("sent", number, email="ana@example.com") for number in range(1_000)])
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(InvalidInputError, match="damaged or cut off") as raised:
        read(path)

    assert "ana" not in str(raised.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_something_else_is_an_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"other{suffix}"
    path.write_bytes(b"Email,First Name\nana@example.com,Ana\n")

    with pytest.raises(InvalidInputError, match="It") as raised:
        read(path)

    assert "ana" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "missing"), [("[]", "id, feed"), ("{}", "id, feed"), ('{"id": "e1"}', "feed, time"), ("7", "id, feed")]
)
def test_a_line_that_is_not_an_event_is_named(content: str, missing: str, tmp_path: Path) -> None:
    path = tmp_path / "2026-11-02.jsonl"
    write_rows(path, [row("sent", 1)])
    path.write_text(path.read_text() + content)

    with pytest.raises(InvalidInputError, match=f"line 2 lacks the columns {missing}"):
        read(path)


def test_bookkeeping_and_other_files_are_not_data() -> None:
    names = ["2026-11-02.jsonl", "_cursor.json", ".2026-11-02.jsonl", "_2026-11-02.parquet", "notes.txt", "a.parquet"]

    assert list(filter(is_data_file, names)) == ["2026-11-02.jsonl", "a.parquet"]


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        (None, NOON, ["2026-11-24", "2026-11-25"]),
        (NOON, NOON + timedelta(days=30), ["2026-11-25", "2026-11-26"]),
        (NOON - timedelta(hours=12), NOON + timedelta(hours=12), ["2026-11-25"]),
    ],
)
def test_only_files_of_the_days_in_the_window_are_read(
    since: datetime | None, until: datetime, days: list[str]
) -> None:
    names = [f"2026-11-{day}.jsonl" for day in (24, 25, 26)]

    assert [name[:10] for name in names if may_overlap(name, Window(since, until))] == days
    assert may_overlap("undated.jsonl", Window(since, until))
