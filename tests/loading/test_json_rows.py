"""JSON files: one object a line, one array of objects, and what only looks like one of them."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_salesblink.client import InvalidInputError, json_stream
from airflow_provider_salesblink.loading.rows import ColumnNames, Reject, Row, from_jsonl, from_mappings
from tests.loading.people import addresses, people

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox


def read(content: bytes | str, names: ColumnNames | None = None) -> list[Row | Reject]:
    data = content.encode() if isinstance(content, str) else content
    return list(from_jsonl(io.BytesIO(data), names or ColumnNames()))


@pytest.mark.parametrize(
    "layout", [{}, {"indent": 2}, {"separators": (",\n", ":")}, {"separators": (",\r\n\t", " : ")}]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_array_is_read_to_its_end(layout: dict[str, Any], encoding: str) -> None:
    rows = [{**each, "City": "Köln"} for each in people(50)]

    found = read(json.dumps(rows, ensure_ascii=False, **layout).encode(encoding))

    assert found == [Row(number, each) for number, each in enumerate(rows, start=1)]
    assert read(gzip.compress(("\n \n" + json.dumps(rows, **layout)).encode())) == found


def test_nothing_is_sent_of_an_array_that_breaks_off(sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    whole = "[\n" + ",\n".join(map(json.dumps, people(30))) + "\n]"

    for broken in (
        whole[:-2],
        whole[:-40],
        whole + whole,
        whole + '\n{"Email": "z@example.com"}',
        "[",
        whole[:-1] + ",]",
    ):
        with pytest.raises(InvalidInputError, match="JSON array breaks off or is not JSON after element"):
            load_rows(from_jsonl(io.BytesIO(broken.encode()), ColumnNames()))
    assert addresses(sandbox) == []


def test_lines_that_hold_arrays_never_load_the_last_one_alone() -> None:
    lines = "".join(json.dumps(people(3, start)) + "\n" for start in (0, 3, 6))

    with pytest.raises(InvalidInputError, match="write one object a line, or one array of objects"):
        read(lines)
    rows = read('{"Email": "a@b.com"}\n' + lines)
    assert [type(row) for row in rows] == [Row, Reject, Reject, Reject]
    assert rows[1].reason == "It is a JSON list, not an object."


def test_elements_that_are_no_objects_are_refused() -> None:
    rows = read('[{"Email": "a@b.com"}, 5, null, ["x"], "c@b.com", {"Email": "b@b.com"}]')

    assert [type(row) for row in rows] == [Row, Reject, Reject, Reject, Reject, Row]
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[1].reason == "It is a JSON int, not an object."


@pytest.mark.parametrize(("content", "problem"), [
    ('{"prospects": [{"Email": "zoe@lang.example"}]}', "one JSON object that holds the rows under a key"),
    ('{"ok": true, "data": {"items": [{"Email": "zoe@lang.example"}]}}\n', "one JSON object that holds the rows"),
    (json.dumps({"prospects": people(3)}, indent=2), "a JSON object over several lines"),
    (json.dumps(people(1)[0], indent=4), "a JSON object over several lines"),
    ("\n".join(json.dumps(each, indent=1) for each in people(3)), "a JSON object over several lines"),
    (b"PK\x03\x04[Content_Types].xml", "an Excel workbook"), (b"<html>zoe@lang.example", "a page of HTML"),
    ("[1]".encode("utf-16-le") * 20, "looks like UTF-16 without a byte order mark: save it as UTF-8."),
    (b'{"Email": "a@b.com"}\n{"Email": "b@b.com", "X": "\xff"}', "Line 2 of the file is not UTF-8: save"),
    (b'[{"Email": "a@b.com"}, {"Email": "b@b.com", "X": "\xff"}]', "is not UTF-8: save the file as UTF-8"),
    (gzip.compress(b'[{"Email": "zoe@lang.example"}]', mtime=0)[:-9], "gzip data that is damaged or cut off"),
])  # fmt: skip
def test_what_is_no_list_of_rows_is_said(content: bytes | str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem) as caught:
        read(content)

    assert "zoe" not in str(caught.value)


def test_a_broken_first_line_is_one_row() -> None:
    rows = read('\n\n{"Email": "a@b.com\n{"Email": "b@b.com"}\n\u200b\n{"Email": "c@b.com"}\u200b\n')

    assert [(type(row), row.number) for row in rows] == [(Reject, 3), (Row, 4), (Row, 6)]


def test_two_values_under_one_key_are_refused() -> None:
    twice = '{"Email": "a@b.com", "Email": "b@b.com"}'

    for content in (twice, f"[{twice}]"):
        (row,) = read(content)
        assert isinstance(row, Reject)
        assert row.reason == "Two of its columns have the same name: leave one out."


def test_what_is_missing_is_absent_and_blank_is_empty() -> None:
    line = '{"Email": " a@b.com\\u200b", "A": NaN, "B": null, "C": "\\u3000", "D": -0.0, "E": 1e-7, "\\ufeffF ": 1e25}'

    expected = {"Email": "a@b.com", "C": "", "D": "0", "E": "0.0000001", "F": "1" + "0" * 25}
    assert [row.columns for row in read(line)] == [row.columns for row in read(f"[{line}]")] == [expected]


def test_memory_stays_flat() -> None:
    import tracemalloc

    content = gzip.compress(("[" + ",".join(map(json.dumps, people(60_000))) + "]").encode())
    tracemalloc.start()
    try:
        count = sum(1 for _ in from_jsonl(io.BytesIO(content), ColumnNames()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 60_000
    assert peak < 3_000_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(JSON | st.dictionaries(st.text(max_size=3), JSON).map(lambda row: {**row, "Email": "a@b.com"})),
       st.integers(1, 30))  # fmt: skip
def test_an_array_and_a_list_are_the_same_rows(items: list[Any], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_PIECE", piece)
        found = read(json.dumps(items))

    for row, other in zip(found, from_mappings(items, ColumnNames()), strict=True):
        assert (type(row), row.number) == (type(other), other.number)
        assert not isinstance(row, Row) or row == other


# Opt-outs


def test_opt_outs_of_records_are_read_and_not_sent() -> None:
    cells: list[Any] = [
        True,
        1,
        1.0,
        "yes",
        "2027-01-31T00:00:00Z",
        False,
        0,
        "",
        None,
        float("nan"),
        "no",
        "maybe",
        [1],
        2,
    ]
    rows = [{"Email": f"p{number}@example.com", "unsubscribed": cell} for number, cell in enumerate(cells)]
    expected = [True] * 5 + [False] * 6 + [None] * 3

    lines, array = "\n".join(map(json.dumps, rows)), json.dumps(rows)
    for found in (
        list(from_mappings(rows, ColumnNames(None, ["Unsubscribed"]))),
        read(lines, ColumnNames(None, ["Unsubscribed"])),
        read(array, ColumnNames({"Email": "Email"}, ["Unsubscribed"])),
    ):
        assert [row.opted_out if isinstance(row, Row) else None for row in found] == expected
        assert all(list(row.columns) == ["Email"] for row in found if isinstance(row, Row))
        assert [row.columns["Email"] for row in found if isinstance(row, Reject) and row.blocks_person] == [
            "p11@example.com", "p12@example.com", "p13@example.com",
        ]  # fmt: skip


def test_a_refused_row_that_says_opt_out_blocks_its_person() -> None:
    rows: list[dict[Any, Any]] = [
        {"mail": "a@b.com", "X": [1], "Out": "yes"}, {"mail": "b@b.com", "X": "x" * 40_000, "Out": "yes"},
        {"mail": "c@b.com", "X": [1], "Out": "no"}, {"mail": "d@b.com", "X": "y", "Out": "no", None: ["left", "over"]},
    ]  # fmt: skip
    found = list(from_mappings(rows, ColumnNames({"mail": "Email", "X": "X"}, ["out"])))

    assert [isinstance(row, Reject) and (row.columns["Email"], row.blocks_person) for row in found] == [
        ("a@b.com", True), ("b@b.com", True), ("c@b.com", False), ("d@b.com", True),
    ]  # fmt: skip


def test_an_opt_out_column_that_no_row_has_is_an_error() -> None:
    for rows in ([{"Email": "a@b.com", "unsubscribd": True}], [{"Email": None}]):
        with pytest.raises(InvalidInputError, match="No row has the opt-out column 'Unsubscribed'"):
            list(from_mappings(rows, ColumnNames(None, ["Unsubscribed"])))
    assert list(from_mappings([], ColumnNames(None, ["Unsubscribed"]))) == []


def test_forgotten_opt_outs_of_records_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"Email": f"p{number}@b.com", "Opt-Out": "no", "Lead status": "unsubscribed"} for number in range(50)]

    assert len(list(from_mappings(rows, ColumnNames()))) == 50
    assert len(list(from_mappings(rows, ColumnNames({"Email": "Email"})))) == 50
    assert len(caplog.messages) == 2
    assert set(caplog.messages) == {
        "Columns 'Opt-Out', 'Lead status': this looks like people who opted out, and the load ignores it. "
        "Pass opt_out_columns=['Opt-Out', 'Lead status'] so that nobody who said no is mailed, or "
        "opt_out_columns=[] if it means something else."
    }


# Mappings


class NaTType:
    """Stands for the NaT of pandas, by its name."""


class NAType:
    """Stands for pandas.NA, of which nothing can be compared."""

    def __ne__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("value", [None, float("nan"), __import__("decimal").Decimal("sNaN"), NaTType(), NAType()])
def test_missing_values_are_absent_and_refuse_nobody(value: object) -> None:
    (row,) = from_mappings([{"Email": "a@b.com", "X": value}], ColumnNames())

    assert row == Row(1, {"Email": "a@b.com"})


def test_records_with_nothing_in_their_columns_are_skipped_and_nameless_columns_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows: list[dict[Any, Any]] = [
        {"": 0, "Email": "a@b.com", "X": "x", None: [""]}, {"": 1, "Email": None, "X": float("nan")},
        {"Email": " ", "X": "\u00a0"}, {"": 3, "Email": "b@b.com", "X": None}, {"Email": "", "X": "x"}, {},
    ]  # fmt: skip
    found = list(from_mappings(rows, ColumnNames()))

    assert found[:2] == [Row(1, {"Email": "a@b.com", "X": "x"}), Row(4, {"Email": "b@b.com"})]
    assert [(row.number, isinstance(row, Reject)) for row in found[2:]] == [(5, True), (6, True)]
    assert caplog.messages == ["A column without a name is ignored, although it holds values: name it to load it."]
