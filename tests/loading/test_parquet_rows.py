"""Parquet files: what their values become, and files that cannot be read."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pyarrow.parquet import encryption

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading.parquet_rows import BATCH
from airflow_provider_salesblink.loading.rows import ColumnNames, Reject, Row, from_parquet
from tests.apis import BOTH
from tests.conftest import ROOT
from tests.loading.people import addresses, people

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox


def written(table: pa.Table, **options: Any) -> bytes:
    """Return a table as the content of a Parquet file."""
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def read(content: bytes, names: ColumnNames | None = None) -> list[Row | Reject]:
    return list(from_parquet(io.BytesIO(content), names or ColumnNames()))


@pytest.mark.parametrize("rows", [0, 1, BATCH, 2 * BATCH + 1])
def test_every_row_is_read_whatever_the_row_groups(rows: int) -> None:
    table = pa.Table.from_pylist(people(rows), schema=pa.schema({name: pa.string() for name in people(1)[0]}))

    for size in (300, 1_000_000):
        assert read(written(table, row_group_size=size)) == [
            Row(number, each) for number, each in enumerate(people(rows), start=1)
        ]


def test_values_of_every_type_become_texts() -> None:
    table = pa.table({
        "E-Mail": ["ana@example.com"],
        "price": pa.array([Decimal("12.50")], pa.decimal128(9, 2)),
        "visits": pa.array([7], pa.uint64()),
        "active": [True],
        "nothing": pa.array([None], pa.string()),
        "born": [date(2027, 1, 31)],
        # Nanoseconds, as pandas and Spark write them.
        "seen": pa.array([1_500_000_000_000_000_001], pa.timestamp("ns")),
        "seen in UTC": pa.array([datetime(2027, 1, 31, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
        "at": pa.array([1_001], pa.time64("ns")),
        "kind": pa.array(["gold"]).dictionary_encode(),
        "__index_level_0__": [0],
    })  # fmt: skip

    assert read(written(table)) == [
        Row(1, {
            "Email": "ana@example.com", "price": "12.50", "visits": "7", "active": "true", "born": "2027-01-31",
            "seen": "2017-07-14T02:40:00", "seen in UTC": "2027-01-31T00:00:00+00:00", "at": "00:00:00.000001",
            "kind": "gold",
        })
    ]  # fmt: skip


def test_times_of_old_spark_files_are_read_too() -> None:
    times = pa.array([datetime(1500, 1, 31), datetime(2027, 1, 31, 12)], pa.timestamp("us"))  # noqa: DTZ001
    table = pa.table({"Email": ["a@x.yz", "b@x.yz"], "seen": times})

    found = read(written(table, use_deprecated_int96_timestamps=True))

    assert [row.columns["seen"] for row in found] == ["1500-01-31T00:00:00", "2027-01-31T12:00:00"]


@pytest.mark.parametrize("value", [["Secret"], {"a": "Secret"}, b"Secret"])
def test_a_value_that_is_not_a_single_one_refuses_its_row_only(value: Any) -> None:
    found = read(written(pa.table({"Email": ["a@example.com", "b@example.com"], "x": [value, None]})))

    assert found[1:] == [Row(2, {"Email": "b@example.com"})]
    assert isinstance(found[0], Reject)
    assert found[0].reason == f"'x' is a {type(value).__name__}: give a text or a number."


def test_columns_are_mapped_and_one_says_who_opted_out() -> None:
    table = pa.table({"mail.work": ["a@x.yz", "b@x.yz"], "Out": ["yes", None], "not loaded": [[1], [2]]})

    assert read(written(table), ColumnNames({"mail.work": "Email"}, ["out"])) == [
        Row(1, {"Email": "a@x.yz"}, opted_out=True),
        Row(2, {"Email": "b@x.yz"}),
    ]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["Email", "Email"], "Two columns of the Parquet file are called 'Email': rename one, or leave it out."),
        (["Email", "e_mail"], "The columns 'Email' and 'e_mail' are both 'Email': leave one out."),
        (
            ["Company", "Name"],
            "The Parquet file has no 'Email' column; it has 'Company', 'Name'. Map one with columns.",
        ),
        (["ana@x.yz", "x"], "A column of the Parquet file has data as its name, so none is shown. Write it with names"),
    ],
)
def test_columns_that_cannot_be_loaded_stop_the_load(names: list[str], problem: str) -> None:
    content = written(pa.Table.from_arrays([pa.array(["a@x.yz"]), pa.array(["b@x.yz"])], names=names))

    with pytest.raises(InvalidInputError) as raised:
        read(content)

    assert str(raised.value).startswith(problem)
    assert "x.yz" not in str(raised.value)


TABLE = pa.Table.from_pylist(people(2_500))


@pytest.mark.apis(*BOTH)
def test_nothing_is_sent_of_a_file_that_is_damaged_in_its_last_row_group(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    content = bytearray(written(TABLE, row_group_size=1_000, compression="NONE"))
    start = parquet.ParquetFile(io.BytesIO(content)).metadata.row_group(2).column(0).file_offset
    begin = start or parquet.ParquetFile(io.BytesIO(content)).metadata.row_group(2).column(0).data_page_offset
    content[begin : begin + 400] = b"\xff" * 400

    with pytest.raises(InvalidInputError, match=r"^The Parquet file is damaged or cut off after row 2,000 \(\w+\): "):
        load_rows(from_parquet(io.BytesIO(bytes(content)), ColumnNames()))

    assert addresses(sandbox) == []


class _NoKeys(encryption.KmsClient):  # type: ignore[misc]
    """A store of keys that wraps nothing."""

    def __init__(self, _: object) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return key


def encrypted(*, has_plain_footer: bool) -> bytes:
    made = encryption.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": ["Email"]}, plaintext_footer=has_plain_footer
    )
    properties = encryption.CryptoFactory(_NoKeys).file_encryption_properties(encryption.KmsConnectionConfig(), made)
    file = io.BytesIO()
    with parquet.ParquetWriter(file, TABLE.schema, encryption_properties=properties) as writer:
        writer.write_table(TABLE)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "The Parquet file is empty, with 0 bytes: write or upload it again."),
        (b"Email\na@x.yz\n", "The file is not Parquet, whatever its name says: name it after its format."),
        (b"\x1f\x8b\x08", "The file is packed with gzip: unpack it. Parquet files are compressed inside."),
        (b"PK\x03\x04xl/", "The file is an Excel workbook (.xlsx): save it as CSV UTF-8."),
        (b"PAR1", "The Parquet file is damaged or cut off (ArrowInvalid): write or upload it again."),
        (written(TABLE)[:-20], "The Parquet file is damaged or cut off (ArrowInvalid): write or upload it"),
        (encrypted(has_plain_footer=False), "The Parquet file is encrypted: write it without encryption."),
        (encrypted(has_plain_footer=True), "The Parquet file is encrypted: write it without encryption."),
    ],
    ids=["empty", "text", "gzip", "workbook", "mark only", "cut off", "encrypted", "encrypted columns"],
)
def test_another_file_is_an_error_that_says_what_it_is(content: bytes, problem: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        read(content)

    assert str(raised.value).startswith(problem)


def test_an_error_of_the_storage_stays_one_so_that_the_task_is_retried() -> None:
    class Breaking(io.BytesIO):
        is_broken = False

        def read(self, size: int | None = -1) -> bytes:
            if self.is_broken:
                raise ConnectionResetError("the storage went away")
            return super().read(size)

    file = Breaking(written(TABLE, row_group_size=1_000))
    rows = from_parquet(file, ColumnNames())
    next(rows)
    file.is_broken = True

    with pytest.raises(ConnectionResetError):
        list(rows)


def test_without_pyarrow_the_error_says_what_to_install() -> None:
    code = """
import io, sys
sys.modules["pyarrow"] = sys.modules["pyarrow.parquet"] = None
from airflow_provider_salesblink.loading.rows import ColumnNames, from_parquet
list(from_parquet(io.BytesIO(b"PAR1"), ColumnNames()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert (
        "InvalidInputError: Parquet files need pyarrow: pip install 'airflow-provider-salesblink[parquet]'"
        in done.stderr
    )


_READ_ALL = """
import resource, sys
from airflow_provider_salesblink.loading.rows import ColumnNames, from_parquet
import pyarrow.parquet
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
idle = peak()
with open(sys.argv[1], "rb") as file:
    print(sum(1 for row in from_parquet(file, ColumnNames())), peak() - idle)
"""


def test_a_row_group_of_200_mb_takes_little_memory(tmp_path: Path) -> None:
    rows = 200_000
    table = pa.table({
        "Email": [f"p{number}@example.com" for number in range(rows)],
        "wide": [f"{number:01000d}" for number in range(rows)],
    })  # fmt: skip
    # Without a dictionary and compression, the file is as large as its rows.
    parquet.write_table(table, tmp_path / "p.parquet", row_group_size=rows, use_dictionary=False, compression="NONE")
    done = subprocess.run(
        [sys.executable, "-c", _READ_ALL, tmp_path / "p.parquet"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr

    read_rows, megabytes = map(int, done.stdout.split())
    assert read_rows == rows
    assert megabytes < 60
