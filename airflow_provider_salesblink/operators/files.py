"""Files that people go through instead of XCom, on any object storage that Airflow knows."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.arguments import json_argument, path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from airflow_provider_salesblink.loading.rows import Reject, Row, Source

_PATH = re.compile(r"[^\[\](){}<>'\"=\s][^\[\](){}<>'\"=\n\r]*")


def check_path(path: str | None, argument: str = "output_path") -> None:
    """Check a path before anything is read for it.

    :raises AirflowFailException: it is empty, the text of a template that found nothing, or a folder.
    """
    if path is None:
        return
    if path.strip() in ("", "None"):
        raise AirflowFailException(f"{argument} is {path!r}: its template found nothing. Leave it out for no file.")
    with _final(argument, path):
        is_folder = ObjectStoragePath(path).is_dir()
    if is_folder:
        raise AirflowFailException(f"{argument} is a folder: name a file in it.")


def is_same(path: str, other: str | None) -> bool:
    """Whether two paths are those of one file."""
    return other is not None and _resolved(path) == _resolved(other)


def _resolved(path: str) -> str:
    found = ObjectStoragePath(path)
    return str(Path(found.path).resolve()) if _is_local(found) else str(found)


def _is_local(path: ObjectStoragePath) -> bool:
    return path.protocol in ("file", "local", "")


def write_records(path: str | None, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Write records to ``path``, one JSON object a line, without the API's own objects.

    :return: for XCom: the path, or nothing where none is given.
    """
    if path is None:
        return {}
    from airflow_provider_salesblink.loading.report import json_line

    told = ({name: value for name, value in record.items() if name != "raw"} for record in records)
    write_lines(path, map(json_line, told))
    return {"path": path}


def write_lines(path: str, lines: Iterable[str], argument: str = "output_path") -> None:
    """Write lines to ``path``, one after the other.

    :raises AirflowFailException: it cannot be written, and will not be able to either.
    """
    with _final(argument, path):
        opened = _target(path).open("w", encoding="utf-8")  # type: ignore[no-untyped-call]
    with opened as file:
        for line in lines:
            file.write(line)


_CSV = (".csv", ".tsv", ".txt")
_JSON = (".json", ".jsonl", ".ndjson")
_FOREIGN = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"), "Save the spreadsheet as CSV UTF-8."),
    **dict.fromkeys((".parquet", ".avro", ".orc", ".feather", ".arrow"), "Write the table as CSV or as JSON lines."),
    **dict.fromkeys((".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz"), "Unpack it, or pack the file with gzip."),
}


@contextmanager
def open_rows(
    path: str,
    columns: Mapping[str, str] | None,
    csv_options: Mapping[str, Any] | None = None,
    opt_out_columns: Iterable[str] | None = None,
) -> Iterator[Source]:
    """Open the rows of a CSV or JSON file, which may be packed with gzip.

    :param csv_options: how a CSV file is written, as :func:`rows.from_csv` takes it.
    :param opt_out_columns: the columns that say who opted out.
    :raises AirflowFailException: it is not there, cannot be read, or is neither by its name.
    """
    from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv, from_jsonl

    with _final("rows_path", path):
        source = ObjectStoragePath(path)
        is_folder = source.is_dir()
    if is_folder:
        raise AirflowFailException(f"rows_path {path!r} is a folder: name one file, or map the task over its files.")
    suffix = _kind_by_name(source.name)
    if csv_options is not None and suffix in _JSON:
        raise AirflowFailException(f"csv_options is for CSV files, and rows_path ends in {suffix!r}.")
    with _final("rows_path", path):
        file = source.open("rb")  # type: ignore[no-untyped-call]
    with file:
        names = ColumnNames(columns, opt_out_columns)
        yield from_jsonl(file, names) if suffix in _JSON else from_csv(file, names, csv_options)


def _kind_by_name(name: str) -> str:
    """The suffix that says how the rows of a file are written."""
    suffix = PurePath(name.lower().removesuffix(".gz")).suffix
    if suffix not in (*_CSV, *_JSON):
        known = ", ".join((*_CSV, *_JSON))
        remedy = f" {_FOREIGN[suffix]}" if suffix in _FOREIGN else ""
        raise AirflowFailException(
            f"rows_path ends in {suffix!r}: give a file in {known}, each also with .gz behind it.{remedy}"
        )
    return suffix


class Rows:
    """A source that can be read more than once."""

    def __init__(self, opened: Callable[..., AbstractContextManager[Source]], *arguments: Any) -> None:
        self._opened = opened
        self._arguments = arguments

    def __iter__(self) -> Iterator[Row | Reject]:
        with self._opened(*self._arguments) as source:
            yield from source


def read_columns(data: object) -> object:
    """Return a person's columns, given as they are, as the text of a JSON object, or as the path of a file with one.

    :raises AirflowFailException: the file is not there or cannot be read, or the text is no JSON.
    """
    data = path_text(data)
    if not isinstance(data, str):
        return data
    if data.lstrip().startswith(("{", "[")):
        return json_argument("data", data, dict)
    try:
        return json.loads(_read(data))
    except ValueError:
        raise AirflowFailException(f"The file that data names{_shown(data)} holds no JSON object.") from None


@contextmanager
def _final(argument: str, path: str) -> Iterator[None]:
    """Within it, what would come again ends the task, and names the argument; a passing error stays what it is."""
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        why = f"{type(error).__name__}); it must be there for each worker"
    except (ImportError, ValueError) as error:
        # No driver for this kind of storage.
        why = f"{error}); a storage needs its Airflow provider: s3:// apache-airflow-providers-amazon[s3fs], for one"
    else:
        return
    raise AirflowFailException(f"{argument} {path!r} cannot be used ({why}.")


def _target(path: str) -> ObjectStoragePath:
    target = ObjectStoragePath(path)
    if _is_local(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # People are in it.
        Path(target.path).touch(mode=0o600)
    return target


def _read(path: str) -> str:
    try:
        return str(ObjectStoragePath(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, ImportError) as error:
        raise AirflowFailException(
            f"data is a text, so it should be JSON or the path of a JSON file, but the file{_shown(path)} cannot be "
            f"read ({type(error).__name__}). A template gives the Python text of a dict: pass the task's .output "
            "instead, or write {{ ... | tojson }}."
        ) from None


def _shown(path: str) -> str:
    from airflow_provider_salesblink.client.redaction import redacted

    # What has brackets or quotes is the text of an object, and a person may be in it.
    is_path = _PATH.fullmatch(path) and not any(sign in path for sign in "@;,\uff20")
    return f" {redacted(path)!r}" if is_path else ""
