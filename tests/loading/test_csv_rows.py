"""CSV files as people have them: delimiters, headers, blanks, debris, other kinds of files."""

from __future__ import annotations

import gzip
import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading import text_files
from airflow_provider_salesblink.loading.rows import ColumnNames, Reject, Row, from_csv
from tests.loading.people import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox

BLANKS = [" ", "\t", "\u00a0", "\u3000", "\u2009", "\u200b", "\ufeff", "\u2060", "\u202f", "\u200e", "\x85", "\u3164"]


def read(content: bytes | str, columns: dict[str, str] | None = None, **options: Any) -> list[Row | Reject]:
    data = content.encode() if isinstance(content, str) else content
    return list(from_csv(io.BytesIO(data), ColumnNames(columns), options or None))


def people_in(content: bytes | str, columns: dict[str, str] | None = None, **options: Any) -> list[dict[str, str]]:
    rows = read(content, columns, **options)
    assert [row.reason for row in rows if isinstance(row, Reject)] == []
    return [dict(row.columns) for row in rows]


def problem_of(content: bytes | str, columns: dict[str, str] | None = None, **options: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(content, columns, **options)
    return str(caught.value)


# Blanks


@pytest.mark.parametrize("blank", [*BLANKS, " \u00a0\u200b\t "], ids=ascii)
def test_a_cell_of_blanks_is_empty_and_blanks_around_a_text_are_none(blank: str) -> None:
    text = f"Email;{blank}First Name{blank};X\n{blank}ana@example.com;{blank}Ana Lu{blank};{blank}\n"

    assert people_in(text) == [{"Email": "ana@example.com", "First Name": "Ana Lu", "X": ""}]


@pytest.mark.parametrize("blank", ["", " ", "   ", "\t", "\u00a0", " \u3000"], ids=ascii)
def test_blanks_around_a_quoted_cell_are_no_text(blank: str) -> None:
    text = (
        f'Email,{blank}"Company"{blank},X\n{blank}"bo@example.com"{blank},{blank}"Bär, Inc"{blank},{blank}"y"{blank}\n'
    )

    assert people_in(text) == [{"Email": "bo@example.com", "Company": "Bär, Inc", "X": "y"}]


def test_blanks_inside_of_quotes_stay_as_they_are() -> None:
    text = 'Email,X,Y\na@b.com,"say ""hi"" , then\t"" go\n on, "" , and ""\n",\t"z"\n'

    assert people_in(text) == [{"Email": "a@b.com", "X": 'say "hi" , then\t" go\n on, " , and "', "Y": "z"}]


def test_what_an_emoji_ends_with_is_no_blank() -> None:
    england, heart = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\u2764\ufe0f"

    assert people_in(f"Email,X,Y\na@b.com,{england},{heart}\n")[0] == {"Email": "a@b.com", "X": england, "Y": heart}
    assert people_in("Email,X\na@b.com,\ufe0f\n")[0]["X"] == ""


# The header


@pytest.mark.parametrize(("text", "expected"), [
    ('Email;First Name;"Firm (name, city, country)"\na@b.com;Ana;Acme, Rome\n',
     {"Email": "a@b.com", "First Name": "Ana", "Firm (name, city, country)": "Acme, Rome"}),
    ('"Name, first|last";Email\nAna;a@b.com\n', {"Name, first|last": "Ana", "Email": "a@b.com"}),
    ("Email|Plan\na@b.com|Gold, yearly\n", {"Email": "a@b.com", "Plan": "Gold, yearly"}),
    ("Plan, size, colour;Email\nGold;a@b.com\n", {"Plan, size, colour": "Gold", "Email": "a@b.com"}),
    ('Email\t"A\tB\n(two lines)"\na@b.com\tx\n', {"Email": "a@b.com", "A\tB\n(two lines)": "x"}),
    ("sep=;\nEmail;Plan, size\na@b.com;L\n", {"Email": "a@b.com", "Plan, size": "L"}),
    ("SEP=,\r\nEmail,Plan\r\na@b.com,L\r\n", {"Email": "a@b.com", "Plan": "L"}),
    ("\ufeffsep=\t\nEmail\tPlan\na@b.com\tL\n", {"Email": "a@b.com", "Plan": "L"}),
    ("sep=^\nEmail^Plan\na@b.com^L\n", {"Email": "a@b.com", "Plan": "L"}),
    ('\ufeff"Email","Plan"\na@b.com,L\n', {"Email": "a@b.com", "Plan": "L"}),
    ("\n \u00a0\n;;\r\nEmail;Plan\na@b.com;L\n", {"Email": "a@b.com", "Plan": "L"}),
    ("Email\na@b.com\n", {"Email": "a@b.com"}),
])  # fmt: skip
def test_the_delimiter_is_found_where_people_see_it(text: str, expected: dict[str, str]) -> None:
    assert people_in(text) == [expected]


def test_row_numbers_count_from_the_top_of_the_file() -> None:
    rows = read("\nsep=;\n\nEmail;X\na@b.com;1\n\n;2\n")

    assert [row.number for row in rows] == [5, 7]
    assert [row.number for row in read("Report of May\n\nEmail,X\na@b.com,1\n", skip_rows=1)] == [4]


@pytest.mark.parametrize("first_line", [
    "Zoe,Lang,zoe@lang.example,Acme", "Zoe;Lang;+34 600 123 456;Acme",
    "Zoe,zoe\uff20lang.example", '"Zoe Lang","5551234"',
    "Zoe|Lang|1990-04-01", "zoe@lang.example", "Zoe,https://lang.example/zoe", "Zoe,Tel. 030 1234567",
    "Zoe,Zoe,zoe@lang.example", "zoe@lang.example,zoe@lang.example",
])  # fmt: skip
@pytest.mark.parametrize("columns", [None, {"Mail": "Email", "Zoe": "First Name"}])
def test_a_file_without_a_header_shows_nobody(first_line: str, columns: dict[str, str] | None) -> None:
    problem = problem_of(f"{first_line}\nBo,Berg,bo@berg.example,Umbra\n", columns)

    assert problem.startswith("The first line of the file looks like data, not like a header, so none of it is shown.")
    assert not any(word in problem for word in ("Zoe", "Lang", "lang", "Acme", "600", "555", "1990", "030"))


def test_names_are_shown_only_where_each_column_has_one() -> None:
    assert "it has 'Vorname', 'Firma'" in problem_of("Vorname,Firma\nAna,Acme\n")
    assert problem_of("Zoe,,Lang\n") == "The file has no 'Email' column. Map one with columns."


@pytest.mark.parametrize(("options", "text"), [
    ({"delimiter": ":"}, "Email:Plan\na@b.com:x, y\n"),
    ({"delimiter": "\\t"}, "Email\tPlan\na@b.com\tx, y\n"),
    ({"delimiter": ";"}, "Email;Plan,a,b,c\na@b.com;x, y\n".replace("Plan,a,b,c", "Plan")),
    ({"quotechar": "'"}, "Email,Plan\na@b.com,'x, y'\n"),
    ({"escapechar": "\\"}, "Email,Plan\na@b.com,x\\, y\n"),
    ({"skip_rows": 2}, "Export of zoe@lang.example\n2027-01-01\nEmail,Plan\na@b.com,\"x, y\"\n"),
    ({"skip_rows": "1"}, "x;x;x;x\nEmail,Plan\na@b.com,\"x, y\"\n"),
    ({"quotechar": None}, "Email;Plan\na@b.com;x, y\n"),
    ({}, "Email;Plan\na@b.com;x, y\n"),
])  # fmt: skip
def test_options_say_what_the_file_does_not(options: dict[str, Any], text: str) -> None:
    assert people_in(text, **options) == [{"Email": "a@b.com", "Plan": "x, y"}]


@pytest.mark.parametrize(("options", "problem"), [
    ({"sep": ";"}, "csv_options has no option 'sep'; it has delimiter, quotechar, escapechar, encoding, skip_rows"),
    ({"delimiter": ";;"}, "csv_options['delimiter'] takes one character"),
    ({"delimiter": ""}, "csv_options['delimiter'] takes one character"),
    ({"quotechar": "\n"}, "csv_options['quotechar'] takes one character"),
    ({"escapechar": 5}, "csv_options['escapechar'] takes one character"),
    ({"delimiter": '"'}, "one character for two of delimiter, quotechar and escapechar"),
    ({"encoding": "klingon"}, "csv_options[\"encoding\"] is not an encoding that Python knows"),
    ({"encoding": "base64"}, "is not an encoding that Python knows"),
    ({"encoding": 8}, "is not an encoding that Python knows"),
    ({"skip_rows": -1}, "csv_options['skip_rows'] takes a whole number from 0"),
    ({"skip_rows": True}, "csv_options['skip_rows'] takes a whole number from 0"),
    ({"skip_rows": "few"}, "csv_options['skip_rows'] takes a whole number from 0"),
])  # fmt: skip
def test_an_option_that_cannot_be_is_an_error(options: dict[str, Any], problem: str) -> None:
    assert problem in problem_of("Email\na@b.com\n", **options)
    with pytest.raises(InvalidInputError, match="csv_options is a str, not a mapping"):
        list(from_csv(io.BytesIO(b"Email\n"), ColumnNames(), "sep=;"))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [
    'Email,X\na@b.com,ok\nb@b.com,"The \\"Best\\" Firm"\n', 'Email,X\nb@b.com,"say \\"",y\nc@b.com,z\n',
    'Email,X\r\nb@b.com,"two\r\nlines \\"x\\""\r\n',
])  # fmt: skip
def test_backslash_escapes_are_named(text: str) -> None:
    assert 'Pass csv_options={"escapechar": "\\\\"}' in problem_of(text)
    assert len(people_in(text.replace(",y", ""), escapechar="\\")) == text.count("@")


# Debris


def test_debris_of_a_spreadsheet_is_no_row_and_no_doubt(
    sandbox: Sandbox, load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture
) -> None:
    text = (
        "Email;First Name;Plan;;\nana@example.com;Ana;Gold;;\n;;;;\n \t;\u00a0;;;\nbo@example.com;Bo\n"
        "eva@example.com;Eva;;;;;\n\n;;;;;;;\n"
    )

    report = load_rows(from_csv(io.BytesIO(text.encode()), ColumnNames()), mode="mirror")

    assert (report.planned.rows, report.planned.rejected, report.held_back) == (3, 0, 0)
    assert addresses(sandbox) == ["ana@example.com", "bo@example.com", "eva@example.com"]
    assert "without a name" not in caplog.text


@pytest.mark.parametrize("header", ["", "Unnamed: 0", " \u200b"])
def test_an_index_column_is_left_out_and_said_once(header: str, caplog: pytest.LogCaptureFixture) -> None:
    assert people_in(f"{header},Email,X\n0,a@b.com,x\n1,b@b.com,y\n2,,\n") == [
        {"Email": "a@b.com", "X": "x"}, {"Email": "b@b.com", "X": "y"},
    ]  # fmt: skip
    assert caplog.messages == ["A column without a name is ignored, although it holds values: name it to load it."]


def test_more_cells_than_the_header_are_refused_unless_they_are_empty() -> None:
    rows = read("Email,X\na@b.com,1,, \u00a0\nb@b.com,1,,2\nc@b.com,Acme\\, Inc\n")

    assert rows[0] == Row(2, {"Email": "a@b.com", "X": "1"})
    assert [(row.number, row.reason) for row in rows[1:] if isinstance(row, Reject)] == [
        (3, "It has 4 cells, the header 2: a cell with a delimiter needs quotes."),
        (4, "It has 3 cells, the header 2: a cell with a delimiter needs quotes. If a backslash escapes it, pass "
            'csv_options={"escapechar": "\\\\"}.'),
    ]  # fmt: skip
    assert rows[1].columns == {"Email": "b@b.com", "X": "1", "beyond the header": ["", "2"]}


# Other kinds of files


@pytest.mark.parametrize(("content", "kind"), [
    (b"PK\x03\x04\x14\x00\x06\x00[Content_Types].xml zoe@lang.example", "an Excel workbook (.xlsx)"),
    (b"PK\x03\x04\x14\x00mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "an OpenDocument spreadsheet"),
    (b"PK\x03\x04\x14\x00people.csv", "a ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 50, "an old Excel workbook"),
    (b"PAR1\x15\x04\x15", "a Parquet file"), (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
    (b"BZh91AY&SY\x8e\x00", "a bzip2 archive"), (b"\x28\xb5\x2f\xfd\x04", "a Zstandard archive"),
    (b"<!DOCTYPE html><html><body>zoe@lang.example", "a page of HTML or XML"),
    (b"\xef\xbb\xbf \n<html lang=en>", "a page of HTML or XML"), (b'<?xml version="1.0"?>', "a page of HTML or XML"),
    (b'{"Email": "zoe@lang.example"}\n', "JSON, not CSV"), (b'[\n  {"Email": "zoe@lang.example"}]', "JSON, not CSV"),
    (gzip.compress(gzip.compress(b"Email\nzoe@lang.example\n", mtime=0), mtime=0), "gzip data inside gzip data"),
    (gzip.compress(b"PK\x03\x04\x14\x00xl/workbook.xml", mtime=0), "an Excel workbook"),
    ("Email,X\nzoe@lang.example,y\n".encode("utf-16-be"), 'or pass csv_options={"encoding": "utf-16-be"}'),
    ("Email,X\nzoe@lang.example,y\n".encode("utf-32-le"), 'or pass csv_options={"encoding": "utf-32-le"}'),
])  # fmt: skip
def test_another_kind_of_file_is_named_and_not_shown(content: bytes, kind: str) -> None:
    problem = problem_of(content)

    assert kind in problem
    assert "zoe" not in problem
    assert problem.isascii()
    assert "\\x" not in problem


def test_three_letters_may_also_begin_a_header() -> None:
    assert people_in("ORC,Email\nx,a@b.com\n") == [{"ORC": "x", "Email": "a@b.com"}]


def test_packed_files_are_read_and_broken_ones_named() -> None:
    text = "Email,X\n" + "".join(f"p{number}@example.com,{number * 7919}\n" for number in range(5_000))
    packed = gzip.compress(text.encode())

    assert len(people_in(packed)) == 5_000
    damaged = bytearray(packed)
    damaged[-6] ^= 0xFF
    for broken in (packed[:-200], packed[:-4], packed[:40], bytes(damaged), packed + b"more"):
        assert "gzip data that is damaged or cut off" in problem_of(broken)
    assert len(people_in("Email,X\na@b.com,ö\n".encode("utf-16"))) == 1


def test_a_line_without_end_does_not_take_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(text_files, "LONGEST_LINE", 2_000_000)
    bomb = gzip.compress(b"Email,X\n" + b"x" * 100_000_000)
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        problem = problem_of(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert problem.startswith("A line of the file is longer than")
    assert peak < 20_000_000


def test_another_encoding_is_named_with_its_line_and_can_be_given() -> None:
    text = "Email,City\na@b.com,Rome\nb@b.com,München €\n"

    problem = problem_of(text.encode("cp1252"))
    assert problem == (
        "Line 3 of the file is not UTF-8: save the file as UTF-8, or name its encoding, such as "
        'csv_options={"encoding": "cp1252"}.'
    )
    assert people_in(text.encode("cp1252"), encoding="cp1252")[1]["City"] == "München €"
    assert people_in(text.encode("utf-16-le"), encoding="utf-16-le")[1]["City"] == "München €"
    assert people_in(text.encode("utf-8-sig"), encoding="cp1252")[1]["City"] == "München €"
    assert "Line 3 of the file is not ASCII" in problem_of(text, encoding="ascii")


# Opt-outs


def opt_outs(cells: list[Any], named: str = "Unsubscribed") -> list[bool | None]:
    """What each cell says: opted out, not, or refused."""
    text = "Email,Unsubscribed\n" + "".join(f"p{number}@example.com,{cell}\n" for number, cell in enumerate(cells))
    rows = list(from_csv(io.BytesIO(text.encode()), ColumnNames(None, [named])))
    assert all(list(row.columns) == ["Email"] for row in rows if isinstance(row, Row))
    assert all(row.blocks_person and row.columns["Email"] for row in rows if isinstance(row, Reject))
    return [row.opted_out if isinstance(row, Row) else None for row in rows]


def test_words_of_opt_outs() -> None:
    yes = [
        "true", "TRUE", " Yes ", "y", "T", "1", "1.0", "x", "X", "on", "Unsubscribed", "un-subscribed", "OPTED_OUT",
        "opt out", "Do Not Contact", "do-not-email", "DNC", "suppressed", "blocked", "✓", "2026-03-01",
        "2026-03-01T10:00:00Z", "2026-03-01 10:00:00.123456+00", "2026-03-01 10:00:00 UTC", "\u00a0yes\u200b",
    ]  # fmt: skip
    no = ["", " ", "\u00a0", "false", "NO", "n", "F", "0", "0.0", "off", "Subscribed", "active", "Opted-In", "opt in"]
    unknown = ["maybe", "2", "-", "10", "2026-13-45", "unknown", "?", "yes no", "@"]

    assert opt_outs(yes) == [True] * len(yes)
    assert opt_outs(no) == [False] * len(no)
    assert opt_outs(unknown) == [None] * len(unknown)
    assert opt_outs(["yes"], " unsubscribed\u200b") == [True]


def test_an_unknown_word_is_not_shown_and_the_known_ones_are() -> None:
    text = b"Email,Opt Out\na@b.com,secret word\n"
    (row,) = from_csv(io.BytesIO(text), ColumnNames({"Email": "Email"}, ["opt_out"]))

    assert isinstance(row, Reject)
    assert row.reason.startswith("Its opt-out column 'Opt Out' holds an unknown word. Opted out: true, yes, y, t, 1,")
    assert "Not opted out: an empty cell, false, no," in row.reason
    assert "secret" not in row.reason


def test_one_of_several_opt_out_columns_is_enough_and_cells_that_moved_block_the_person() -> None:
    text = b"Email,Company,A,B\na@b.com,x,,yes\nb@b.com,x,maybe,1\nc@b.com,x,no\nd@b.com,Acme, Inc,no,no\n"
    rows = list(from_csv(io.BytesIO(text), ColumnNames(None, ["A", "B"])))

    assert rows[:3] == [
        Row(2, {"Email": "a@b.com", "Company": "x"}, opted_out=True),
        Row(3, {"Email": "b@b.com", "Company": "x"}, opted_out=True),
        Row(4, {"Email": "c@b.com", "Company": "x"}),
    ]
    assert isinstance(rows[3], Reject)
    assert rows[3].blocks_person


def test_a_header_in_one_piece_hints_at_the_delimiter() -> None:
    assert problem_of("Mail|First Name\na@b.com|Ana\n", {"Mail": "Email"}, delimiter=";").endswith(
        'It was read as one column: pass csv_options={"delimiter": ...} with the sign between the columns.'
    )


@pytest.mark.parametrize(("named", "problem"), [
    (["Opted Out"], "The file has no column 'Opted Out'; it has 'Email', 'Subscribed'"),
    (["Subscribed"], "opt_out_columns names 'Subscribed', which by its name says who agreed"),
    ("Opted Out", "opt_out_columns is a str: pass a list"), ([5], "opt_out_columns is a list: pass a list"),
    ([" "], "opt_out_columns has an empty name"), (["email"], "opt_out_columns names the column of the address"),
])  # fmt: skip
def test_opt_out_columns_that_cannot_be_are_an_error(named: Any, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        list(from_csv(io.BytesIO(b"Email,Subscribed\na@b.com,x\n"), ColumnNames(None, named)))


@pytest.mark.parametrize("name", [
    "Unsubscribed", "unsubscribed_at", "Email Opt Out", "HasOptedOutOfEmail",
    "Opted out of email: Marketing Information",
    "Unsubscribed from all email", "Do Not Contact", "DoNotCall", "do_not_email", "DNC", "Suppressed", "is_blacklisted",
    "Blocklisted", "hs_email_optout", "Global unsubscribe", "UNSUB_TIME", "Email opt-out date", "Email Suppressions",
])  # fmt: skip
def test_a_column_that_looks_like_an_opt_out_is_named_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    read(f"Email,{name}\na@b.com,no\nb@b.com,yes\n")

    (message,) = caplog.messages
    assert f"Column {name!r}: this looks like people who opted out" in message
    assert f"opt_out_columns=[{name!r}]" in message
    caplog.clear()
    list(from_csv(io.BytesIO(f"Email,{name}\na@b.com,no\n".encode()), ColumnNames(None, [name])))
    assert caplog.messages == []


@pytest.mark.parametrize(("name", "word"), [
    ("status", "unsubscribed"), ("Lead Status", "Do not contact"), ("State", "opted-out"), ("stage", "DNC"),
    ("Email Marketing Consent", "UNSUBSCRIBED"), ("Subscription", "Opted out by phone"),
])  # fmt: skip
def test_a_state_that_says_opt_out_is_named(name: str, word: str, caplog: pytest.LogCaptureFixture) -> None:
    read(f"Email,{name}\na@b.com,active\nb@b.com,true\nc@b.com,CA\n")
    assert caplog.messages == []
    assert people_in(f"Email,{name}\na@b.com,active\nb@b.com,{word}\nc@b.com,{word}\n")[1][name] == word
    assert len(caplog.messages) == 1
    assert f"opt_out_columns=[{name!r}]" in caplog.text


@pytest.mark.parametrize("name", ["Unsubscribe link", "Optometrist", "Blockchain", "Contact", "Call notes", "Company"])
def test_other_columns_are_not_taken_for_opt_outs(name: str, caplog: pytest.LogCaptureFixture) -> None:
    read(f"Email,{name}\na@b.com,yes\n")

    assert caplog.messages == []


def test_a_column_that_holds_an_address_in_its_name_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    from airflow_provider_salesblink.loading.rows import from_mappings

    list(from_mappings([{"Email": "a@b.com", "status ana@example.com": "unsubscribed"}], ColumnNames()))

    assert len(caplog.messages) == 1
    assert "ana@" not in caplog.text


def test_each_row_is_json_for_the_file_of_rejects() -> None:
    for row in read("Email,X\na@b.com,1,2,3\n,x\n"):
        assert isinstance(row, Reject)
        json.dumps(dict(row.columns))


def test_a_quote_that_closes_in_a_later_row_swallows_nobody_in_silence() -> None:
    lines = ["Email,Note", *(f"p{number}@example.com,n" for number in range(6))]
    lines[3], lines[4] = 'p2@example.com,"19', 'p3@example.com,24"'

    found = list(from_csv(io.BytesIO("\n".join(lines).encode()), ColumnNames()))

    assert [type(row).__name__ for row in found] == ["Row", "Row", "Reject", "Row", "Row"]
    assert "a quote that opens in one row" in found[2].reason


def test_a_note_of_several_lines_is_a_note() -> None:
    note = b'Email,Note\nana@example.com,"Hello\nwrite to bo@example.com"\n'

    assert [type(row).__name__ for row in from_csv(io.BytesIO(note), ColumnNames())] == ["Row"]
