"""Rows of lists and files: what concerns one row is a reject, what concerns the whole file an error."""

from __future__ import annotations

import codecs
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.client.cell_values import is_missing, trimmed
from airflow_provider_salesblink.loading.column_names import as_text
from airflow_provider_salesblink.loading.rows import ColumnNames, Reject, Row, from_csv, from_jsonl, from_mappings
from tests.loading.people import accounted_for, addresses, people

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox

ANA = {"Email": "ana@example.com", "First Name": "Ana"}


def csv_rows(content: bytes | str, columns: dict[str, str] | None = None) -> list[Row | Reject]:
    data = content.encode() if isinstance(content, str) else content
    return list(from_csv(io.BytesIO(data), ColumnNames(columns)))


def jsonl_rows(content: bytes | str) -> list[Row | Reject]:
    data = content.encode() if isinstance(content, str) else content
    return list(from_jsonl(io.BytesIO(data), ColumnNames()))


def mapped(*items: Any) -> list[Row | Reject]:
    return list(from_mappings(items, ColumnNames()))


def columns_of(rows: list[Row | Reject]) -> list[dict[str, str]]:
    assert all(isinstance(row, Row) for row in rows)
    return [dict(row.columns) for row in rows]


def refused(rows: list[Row | Reject]) -> list[tuple[int, str]]:
    return [(row.number, row.reason) for row in rows if isinstance(row, Reject)]


# Files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_csv_file_is_read_however_it_was_saved(encoding: str, delimiter: str, end: str) -> None:
    text = end.join(delimiter.join(cells) for cells in (["email", "first_name"], ["jörg@exämple.com", "Jörg"])) + end

    assert columns_of(csv_rows(text.encode(encoding))) == [{"Email": "jörg@exämple.com", "First Name": "Jörg"}]


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE])
def test_big_endian_files_are_read(mark: bytes) -> None:
    encoding = "utf-16-be" if mark == codecs.BOM_UTF16_BE else "utf-32-be"

    assert columns_of(csv_rows(mark + "Email\nana@example.com\n".encode(encoding))) == [{"Email": "ana@example.com"}]


@pytest.mark.parametrize(("content", "problem"), [
    ("", "The file is empty: it needs at least a header"),
    ("\n\n", "The file is empty"),
    ("Name,Company\nAna,X\n", "The file has no 'Email' column; it has 'Name', 'Company'. Map one with columns"),
    ("Email,E-Mail\na@b.com,a@b.com\n", "The columns 'Email' and 'E-Mail' are both 'Email': leave one out"),
    ("Email,Email\na@b.com,a@b.com\n", "are both 'Email'"),
    ('Email,X\na@b.com,"never closed\nb@b.com,y\n', "cannot be read as CSV after row 1 .*quote that is not closed"),
    ("Email,X\na@b.com,ok\nb@b.com,Jörg\n".encode("cp1252"), "Line 3 of the file is not UTF-8: save the file"),
    ("Email\nana@example.com\n".encode("utf-16")[:-1], "Line 2 of the file is not UTF-16"),
    (b"Email\n" + b"ana@example.com\r\n" * 5_000 + b"\xff", "Line 5002 of the file is not UTF-8"),
    (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "The file is gzip data that is damaged or cut off"),
    ("Email\nana@example.com\n".encode("utf-16-le"), "looks like UTF-16 without a byte order mark"),
])  # fmt: skip
def test_what_is_wrong_with_a_whole_file_is_said_before_anything_is_sent(
    content: str | bytes, problem: str, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    data = content.encode() if isinstance(content, str) else content

    with pytest.raises(InvalidInputError, match=problem) as caught:
        load_rows(from_csv(io.BytesIO(data), ColumnNames()))

    assert "@" not in str(caught.value)
    assert addresses(sandbox) == []


def test_a_header_alone_is_no_people(load_rows: Callable[..., Report]) -> None:
    assert load_rows(from_csv(io.BytesIO(b"Email,First Name\n"), ColumnNames())).planned.rows == 0


def test_columns_are_mapped_and_the_others_left_out() -> None:
    rows = csv_rows("Contact mail,Vorname,Secret\na@b.com,Ana,x\n", {"Contact mail": "email", "Vorname": "First Name"})

    assert columns_of(rows) == [{"Email": "a@b.com", "First Name": "Ana"}]


@pytest.mark.parametrize(("columns", "problem"), [
    ({"Mail": "Email"}, "The file has no column 'Mail'; it has 'Email', 'X'"),
    ({"X": "Company"}, "columns maps no column to 'Email'"),
    ({"X": "Email", "Email": "email"}, "The columns 'X' and 'Email' are both 'Email'"),
])  # fmt: skip
def test_a_mapping_that_does_not_fit_is_an_error(columns: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        csv_rows("Email,X\na@b.com,y\n", columns)


def test_a_mapped_column_that_no_row_has_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    columns = {"mail": "Email", "fist_name": "First Name", "firm": "Company"}
    rows = [{"mail": "a@b.com", "first_name": "Ana"}, {"mail": "b@b.com", "firm": "Acme"}]

    for source in (from_mappings(rows, ColumnNames(columns)), from_jsonl(
        io.BytesIO("\n".join(map(json.dumps, rows)).encode()), ColumnNames(columns)
    )):  # fmt: skip
        caplog.clear()
        assert columns_of(list(source)) == [{"Email": "a@b.com"}, {"Email": "b@b.com", "Company": "Acme"}]
        assert caplog.messages == ["No row has the mapped column 'fist_name': check columns."]

    caplog.clear()
    assert list(from_mappings([], ColumnNames(columns))) == []
    assert caplog.messages == []


def test_rows_that_do_not_fit_the_header_are_refused_and_the_others_read() -> None:
    rows = csv_rows('Email,X\na@b.com,1,2\n\n\nc@b.com,"quoted, ""twice""\nand on"\n,x\n')

    assert refused(rows) == [
        (2, "It has 3 cells, the header 2: a cell with a delimiter needs quotes."),
        (6, "It has no 'Email'."),
    ]
    assert [row.columns for row in rows if isinstance(row, Row)] == [
        {"Email": "c@b.com", "X": 'quoted, "twice"\nand on'}
    ]


def test_a_formula_is_loaded_as_it_is() -> None:
    assert columns_of(csv_rows("Email,X\na@b.com,=1+1\n"))[0]["X"] == "=1+1"


def test_a_cell_of_ten_megabytes_and_a_nul_are_refused_and_not_kept() -> None:
    rows = csv_rows("Email,X\na@b.com," + "x" * 10_000_000 + "\nb@b.com,\x00\nc@b.com,y\n")

    assert refused(rows) == [
        (2, "'X' has 10,000,000 characters, more than 32,768."),
        (3, "'X' holds a NUL character: clean the source."),
    ]
    assert len(json.dumps(dict(rows[0].columns))) < 1000
    assert isinstance(rows[2], Row)


def test_json_lines_that_are_none_are_refused_by_their_number() -> None:
    lines = [json.dumps(ANA), "", '{"Email": ', "[1]", "null", "  ", "[" * 100_000, json.dumps(ANA | {"n": 5})]

    rows = jsonl_rows("\n".join(lines))

    assert refused(rows) == [
        (3, "It is not JSON: fix the line."),
        (4, "It is a JSON list, not an object."),
        (5, "It is a JSON NoneType, not an object."),
        (7, "It is not JSON: fix the line."),
    ]
    assert [row.number for row in rows if isinstance(row, Row)] == [1, 8]
    assert rows[-1].columns["n"] == "5"


# Mappings


@pytest.mark.parametrize(("value", "text"), [
    ("x", "x"), (5, "5"), (5.0, "5"), (0.1, "0.1"), (True, "true"), (Decimal("1.50"), "1.50"), (10**20, "1" + "0" * 20),
    (date(2026, 3, 1), "2026-03-01"), (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"), ("=1+1", "=1+1"),
])  # fmt: skip
def test_values_become_texts(value: object, text: str) -> None:
    assert columns_of(mapped(ANA | {"X": value}))[0]["X"] == text


def test_none_is_no_value() -> None:
    assert columns_of(mapped(ANA | {"X": None})) == [ANA]


@pytest.mark.parametrize("value", [
    [1], {"a": 1}, b"x", float("inf"), Decimal("-Infinity"), 10**5000, "\ud800", "a\x00b", "x" * 40_000,
    object(),
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_values_that_are_no_texts_are_refused_and_the_load_goes_on(
    value: object, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    kept: list[Reject] = []

    report = load_rows([ANA | {"X": value}, *people(2)], max_rejected=1, on_rejects=kept.extend)

    assert addresses(sandbox) == ["p0@example.com", "p1@example.com"]
    assert (accounted_for(report), report.planned.rejected) == (3, 1)
    (reject,) = kept
    assert "'X'" in reject.reason
    json.dumps(dict(reject.columns), ensure_ascii=False).encode()


def itself() -> dict[str, Any]:
    row: dict[str, Any] = {}
    row["self"] = row
    return row


@pytest.mark.parametrize("item", [
    "a@b.com", 5, None, [("Email", "a@b.com")], {}, {"Email": None}, {"Email": "  "}, {("a",): 1},
    {b"Email": "a@b.com"},
    {"Email": "a@b.com", "email": "b@b.com"}, itself(), {"\ud800": "x", "Email": "a@b.com"}, {"Email": ["a@b.com"]},
    {"Email": "nobody"}, {"Email": "a b@example.com"}, {"Email": "a@b@c"}, {"Email": "\ud800@example.com"},
], ids=ascii)  # fmt: skip
def test_whatever_is_no_person_is_refused_and_the_load_goes_on(
    item: object, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    kept: list[Reject] = []

    report = load_rows([item, *people(2)], max_rejected=1, on_rejects=kept.extend)

    assert addresses(sandbox) == ["p0@example.com", "p1@example.com"]
    assert (accounted_for(report), report.planned.rejected) == (3, 1)
    assert [reject.number for reject in kept] == [1]
    assert "@" not in kept[0].reason


# Anything at all


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='aE@,;"\n\r\t\x00mil.é', max_size=80).map(str.encode))
def test_any_bytes_are_rows_rejects_or_an_error_that_says_so(content: bytes) -> None:
    for data in (content, b"Email,X\n" + content, codecs.BOM_UTF16_LE + content):
        for read in (from_csv, from_jsonl):
            try:
                found = list(read(io.BytesIO(data), ColumnNames()))
            except InvalidInputError:
                continue
            numbers = [row.number for row in found]
            assert numbers == sorted(set(numbers))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), max_size=8))
def test_each_record_of_a_csv_file_is_one_row_or_one_reject(records: list[list[str]]) -> None:
    import csv

    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["Email", "X"], *records])

    found = csv_rows(text.getvalue().encode())

    filled = [number for number, cells in enumerate(records, start=2) if any(map(trimmed, cells))]
    assert [row.number for row in found] == filled


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(nested, max_size=5))
def test_each_item_is_one_row_or_one_reject(items: list[Any]) -> None:
    found = [row.number for row in mapped(*items)]

    assert found == [number for number, item in enumerate(items, start=1) if not is_empty(item)]


def is_empty(item: Any) -> bool:
    """Whether an item has several columns, and nothing in those that have a name."""
    if not isinstance(item, dict) or len(item) < 2:
        return False
    filled = [name for name, value in item.items() if not is_missing(value) and as_text(value) != ""]
    return not any(map(trimmed, filled))


def test_a_column_is_not_mapped_onto_nothing() -> None:
    with pytest.raises(InvalidInputError, match="columns maps 'Mail' to a name without letters"):
        ColumnNames({"E-Mail": "Email", "Mail": " "})
