"""Files that hold people, so that XCom does not: read and write them on any object storage that Airflow supports."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.argument_types import json_argument, path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from airflow_provider_salesblink.loading.rows import Reject, Row, Source

log = logging.getLogger(__name__)

_PATH = re.compile(r"[^\[\](){}<>'\"=\s][^\[\](){}<>'\"=\n\r]*")


def check_path(path: str | None, argument: str = "output_path") -> None:
    """Raise unless ``path`` can be the path of a file. Call it before anything is sent.

    :raises AirflowFailException: the path is empty, "None" (its template found nothing), or a folder.
    """
    if path is None:
        return
    if path.strip() in ("", "None"):
        raise AirflowFailException(
            f"{argument} is {path!r}: its template found nothing. Leave it out if there is no file."
        )
    with fail_for_good(argument, path):
        is_folder = ObjectStoragePath(path).is_dir()
    if is_folder:
        raise AirflowFailException(f"{argument} is a folder: pass the path of a file in it.")


def is_same(path: str, other: str | None) -> bool:
    """Return whether two paths mean the same file."""
    return other is not None and _resolved(path) == _resolved(other)


def _resolved(path: str) -> str:
    try:
        found = ObjectStoragePath(path)
    except (ImportError, ValueError):
        # There is no driver for this kind of storage. The task reports that when it opens the file.
        return path
    return str(Path(found.path).resolve()) if _is_local(found) else str(found)


def _is_local(path: ObjectStoragePath) -> bool:
    return path.protocol in ("file", "local", "")


def write_records(path: str | None, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Write records to ``path``, one JSON object per line, without ``raw``, the API's own object.

    :return: the path, for XCom; an empty dict if ``path`` is None.
    """
    if path is None:
        return {}
    from airflow_provider_salesblink.json_text import json_line

    public = ({name: value for name, value in record.items() if name != "raw"} for record in records)
    write_lines(path, map(json_line, public))
    return {"path": path}


def write_lines(path: str, lines: Iterable[str], argument: str = "output_path") -> None:
    """Write lines to ``path``, each as it comes from the iterable.

    Where the storage is local, the file takes its place when it is complete. Most object storages do the same.

    :raises AirflowFailException: the file cannot be written, and a retry would not help.
    """
    with ExitStack() as stack:
        with fail_for_good(argument, path, is_new=True):
            file = stack.enter_context(_new_file(path))
        for line in lines:
            file.write(line)


def exists(path: str, argument: str) -> bool:
    """Return whether there is a file at ``path``.

    :raises AirflowFailException: that cannot be found out, and a retry would not help.
    """
    with fail_for_good(argument, path):
        return bool(ObjectStoragePath(path).exists())


@contextmanager
def open_bytes(path: str, argument: str) -> Iterator[IO[bytes]]:
    """Open a file to read its bytes.

    :raises AirflowFailException: the file does not exist or cannot be read.
    """
    with fail_for_good(argument, path):
        file = ObjectStoragePath(path).open("rb")  # type: ignore[no-untyped-call]
    with file:
        yield file


def append_lines(path: str, lines: Iterable[str], argument: str) -> None:
    """Append lines to a UTF-8 file, which may be missing, with the line ends that it has.

    A crash takes nothing away from what the file has: a local file only grows. Object storages cannot append: there
    the whole file is written again, and the storage keeps the old one until the new one is complete.

    :param lines: the lines without their ends.
    :raises AirflowFailException: the file cannot be written, and a retry would not help.
    """
    with fail_for_good(argument, path):
        target = _target(path)
        if _is_local(target):
            _append_to_local_file(Path(target.path), lines)
            return
        there = target.read_bytes() if target.exists() else b""
        content = there + _continuation(there[:_HEAD], there[-1:], lines)
        with target.open("wb") as file:  # type: ignore[no-untyped-call]
            file.write(content)


def _append_to_local_file(path: Path, lines: Iterable[str]) -> None:
    # Appending loses no line that somebody else appends at the same time.
    with path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        last = file.read(1)
        file.seek(0)
        content = _continuation(file.read(_HEAD), last, lines)
        written = 0
        try:
            while written < len(content):
                written += file.write(content[written:])
            os.fsync(file.fileno())
        except OSError:
            # Half a line could be the address of somebody else.
            if file.seek(0, os.SEEK_END) == size + written:
                file.truncate(size)
            raise


def _continuation(head: bytes, last: bytes, lines: Iterable[str]) -> bytes:
    """Return lines as they continue a file.

    :param head: the first bytes of the file.
    :param last: its last byte; nothing if it is empty.
    """
    end = b"\r\n" if b"\r\n" in head else b"\n"
    start = end if last not in (b"", b"\n", b"\r") else b""
    return start + b"".join(line.encode() + end for line in lines)


@contextmanager
def _new_file(path: str) -> Iterator[IO[str]]:
    target = _target(path)
    place = Path(target.path).resolve()
    if not (_is_local(target) and place.is_file() and os.access(place.parent, os.W_OK)):
        with target.open("w", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
            yield file
        return
    new = NamedTemporaryFile(  # noqa: SIM115
        "w", encoding="utf-8", dir=place.parent, prefix=f".{place.name}.", delete=False
    )
    try:
        with new as file:
            shutil.copymode(place, new.name)
            yield file
        Path(new.name).replace(place)
    except BaseException:
        Path(new.name).unlink()
        raise


def read_records(path: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file that :func:`write_lines` wrote, one JSON object per line.

    Ends early, with a warning, where the file cannot be read.
    """
    try:
        with ObjectStoragePath(path).open("r", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
            # On Airflow 2, the file cannot be iterated over.
            yield from map(json.loads, iter(file.readline, ""))
    except (OSError, ValueError) as error:
        log.warning("The file %s cannot be read (%s).", path, type(error).__name__)


_HEAD = 4096
_CSV = (".csv", ".tsv", ".txt")
_JSON = (".json", ".jsonl", ".ndjson")
_PARQUET = (".parquet",)
_FOREIGN = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"), "Save the spreadsheet as CSV UTF-8."),
    **dict.fromkeys((".avro", ".orc", ".feather", ".arrow"), "Write the table as CSV, JSON lines or Parquet."),
    **dict.fromkeys((".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz"), "Unpack it, or compress it with gzip."),
}


@contextmanager
def open_rows(
    path: str,
    columns: Mapping[str, str] | None,
    csv_options: Mapping[str, Any] | None = None,
    opt_out_columns: Iterable[str] | None = None,
) -> Iterator[Source]:
    """Open the rows of a CSV or JSON file, which may be packed with gzip, or of a Parquet file.

    :param columns: the source's column names to SalesBlink's; None for all columns as they are.
    :param csv_options: how a CSV file is written, as :func:`rows.from_csv` takes it.
    :param opt_out_columns: the columns that say who opted out.
    :raises AirflowFailException: the file does not exist or cannot be read, or its name ends like none of these.
    """
    from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv, from_jsonl, from_parquet

    with fail_for_good("rows_path", path):
        source = ObjectStoragePath(path)
        is_folder = source.is_dir()
    if is_folder:
        raise AirflowFailException(f"rows_path {path!r} is a folder: name one file, or map the task over its files.")
    suffix = _kind_by_name(source.name)
    if csv_options is not None and suffix not in _CSV:
        raise AirflowFailException(f"csv_options is for CSV files, and rows_path ends in {suffix!r}.")
    names = ColumnNames(columns, opt_out_columns)
    with open_bytes(path, "rows_path") as file, _naming("rows_path", path):
        if suffix in _PARQUET:
            yield from_parquet(file, names)
        else:
            yield from_jsonl(file, names) if suffix in _JSON else from_csv(file, names, csv_options)


@contextmanager
def _naming(argument: str, path: str) -> Iterator[None]:
    """Add the path of a file to errors about its content: the tasks of a mapped one read different files."""
    from airflow_provider_salesblink.client.errors import InvalidInputError
    from airflow_provider_salesblink.client.redaction import redacted

    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(f"{error} The file is {argument} {redacted(path)!r}.") from None


def _kind_by_name(name: str) -> str:
    """Return the suffix that says how the rows of a file are written.

    :raises AirflowFailException: it is not a suffix of CSV, JSON or Parquet files.
    """
    bare = name.lower().removesuffix(".gz")
    suffix = PurePath(bare).suffix
    if suffix in _PARQUET and bare != name.lower():
        raise AirflowFailException("rows_path ends in '.parquet.gz': unpack it. Parquet files are compressed inside.")
    if suffix not in (*_CSV, *_JSON, *_PARQUET):
        known = ", ".join((*_CSV, *_JSON))
        remedy = f" {_FOREIGN[suffix]}" if suffix in _FOREIGN else ""
        raise AirflowFailException(
            f"rows_path ends in {suffix!r}: give a file in {known}, each also with .gz at the end, or in "
            f".parquet.{remedy}"
        )
    return suffix


class Rows:
    """A source of rows that can be read more than once: each iteration opens it again."""

    def __init__(self, opened: Callable[..., AbstractContextManager[Source]], *arguments: Any) -> None:
        self._opened = opened
        self._arguments = arguments

    def __iter__(self) -> Iterator[Row | Reject]:
        with self._opened(*self._arguments) as source:
            yield from source


def read_columns(data: object) -> object:
    """Return a person's columns from a dict, JSON text, or the path of a file that holds one JSON object.

    :raises AirflowFailException: the file does not exist or cannot be read, or the text is not JSON.
    """
    data = path_text(data)
    if not isinstance(data, str):
        return data
    if data.lstrip().startswith(("{", "[")):
        return json_argument("data", data, dict)
    try:
        return json.loads(_read(data))
    except ValueError:
        raise AirflowFailException(f"The file{_shown(data)} that data points to does not hold a JSON object.") from None


@contextmanager
def fail_for_good(argument: str, path: str, *, is_new: bool = False) -> Iterator[None]:
    """Raise AirflowFailException, with the argument's name, for file errors that a retry would repeat.

    :param is_new: whether the file is to be written.
    """
    try:
        yield
    except FileNotFoundError:
        where = " on this worker" if _is_local(ObjectStoragePath(path)) else ""
        what = "no file can be created there" if is_new else f"it does not exist{where}"
        why = f"FileNotFoundError); {what}, and every worker must be able to use this path"
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        why = f"{type(error).__name__}); every worker must be able to use this path"
    except (ImportError, ValueError) as error:
        # There is no driver for this kind of storage.
        why = f"{error}); a storage needs its Airflow provider, like apache-airflow-providers-amazon[s3fs] for s3://"
    else:
        return
    raise AirflowFailException(f"{argument} {path!r} cannot be used ({why}.")


def _target(path: str) -> ObjectStoragePath:
    target = ObjectStoragePath(path)
    if _is_local(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # It holds personal data: only its owner may read it.
        Path(target.path).touch(mode=0o600)
    return target


def _read(path: str) -> str:
    try:
        return str(ObjectStoragePath(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, ImportError) as error:
        raise AirflowFailException(
            f"data is a text, so it must be JSON or the path of a JSON file, but the file{_shown(path)} cannot be "
            f"read ({type(error).__name__}). If it is a template, it renders a dict as Python text: pass the task's "
            ".output instead, or write {{ ... | tojson }}."
        ) from None


def _shown(path: str) -> str:
    from airflow_provider_salesblink.client.redaction import redacted

    # A text with brackets or quotes is an object rather than a path, and may hold personal data.
    is_path = _PATH.fullmatch(path) and not any(sign in path for sign in "@;,\uff20")
    return f" {redacted(path)!r}" if is_path else ""
