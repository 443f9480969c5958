"""The files that a report reads and writes, on any object storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.operators.files import fail_for_good, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.results.folder import Folder

    Row = dict[str, Any]

_REMEDIES = {
    "events_path": "Move the file away, and extract its day again with since and until.",
    "outcomes_path": "Move the file away, or pass the path of a file that AddProspectsOperator wrote.",
}


def csv_path_of(path: str | None) -> str:
    """Return the path of the CSV file next to a page.

    :raises AirflowFailException: there is no path, or the page's name does not end as one.
    """
    if path is None:
        raise AirflowFailException("output_path is None: pass the path of the page to write, which ends in '.html'.")
    stem, dot, end = path.rpartition(".")
    if not dot or end.lower() not in ("html", "htm"):
        raise AirflowFailException(f"output_path {path!r} is the path of the page: let it end in '.html'.")
    return f"{stem}.csv"


def events_folder(path: str) -> Folder:
    """Return the folder that ``events_path`` means.

    :raises AirflowFailException: it is not a folder.
    """
    from airflow_provider_salesblink.results.folder import Folder

    if not _is_folder(path, "events_path"):
        raise AirflowFailException(
            f"events_path {path!r} is not a folder that this worker can see. Pass the output_path of "
            "ExtractEventsOperator, or leave events_path out to read SalesBlink itself (API v1)."
        )
    found = ObjectStoragePath(path)
    return Folder(found.fs, found.path)


def data_files(folder: ObjectStoragePath) -> list[ObjectStoragePath]:
    """Return the files of a folder that hold rows."""
    from airflow_provider_salesblink.results.event_files import is_data_file

    return sorted((each for each in folder.iterdir() if is_data_file(each.name)), key=lambda each: each.name)


def outcome_files(path: str) -> list[ObjectStoragePath]:
    """Return the file that ``outcomes_path`` means, or the data files of the folder."""
    found = ObjectStoragePath(path)
    return data_files(found) if _is_folder(path, "outcomes_path") else [found]


def rows_of(argument: str, files: list[ObjectStoragePath], columns: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of files. Errors about their content name the file."""
    from airflow_provider_salesblink.client import InvalidInputError
    from airflow_provider_salesblink.client.redaction import redacted
    from airflow_provider_salesblink.results.event_files import read_rows

    for each in files:
        with open_bytes(str(each), argument) as file:
            try:
                yield from read_rows(file, each.name, columns)
            except InvalidInputError as error:
                raise InvalidInputError(
                    f"{argument}: {redacted(str(each))!r} cannot be read. {error} {_REMEDIES[argument]}"
                ) from None


def _is_folder(path: str, argument: str) -> bool:
    if path.strip() in ("", "None"):
        raise AirflowFailException(
            f"{argument} is {path!r}: its template found nothing. Leave it out if there is none."
        )
    with fail_for_good(argument, path):
        return bool(ObjectStoragePath(path).is_dir())
