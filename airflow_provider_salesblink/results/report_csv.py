"""A report's figures as CSV: one row for everything, for each day, for each mailbox and for each campaign."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.results.figures import ADDED, MEASURES
from airflow_provider_salesblink.results.report_numbers import share

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from airflow_provider_salesblink.results.figures import Figures, Group

PEOPLE = {
    "sent": "people_mailed",
    "opens": "people_who_opened",
    "clicks": "people_who_clicked",
    "replies": "people_who_replied",
    "bounces": "people_who_bounced",
    "unsubscribes": "people_who_unsubscribed",
}
COLUMNS = (
    "table", "key", "name", "people_added", *MEASURES, "bounce_rate", "unsubscribe_rate", *PEOPLE.values()
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


def csv_lines(figures: Figures, title: str) -> Iterator[str]:
    """Yield the lines of the CSV file. A rate is a share of the mails sent, from 0 to 1; empty where there is none.

    :param title: what the report is about.
    """
    yield _line(COLUMNS)
    yield _line(_cells("total", "", title, figures.total.events, figures.total.people, figures))
    for day, events in figures.days.items():
        yield _line(_cells("day", day.isoformat(), "", events, None, figures))
    for table, groups in (("mailbox", figures.mailboxes), ("campaign", figures.campaigns)):
        for group in groups:
            yield _line(_of_group(table, group, figures))


def _of_group(table: str, group: Group, figures: Figures) -> list[Any]:
    found = _cells(table, redacted(group.id or ""), group.name, group.events, group.people, figures)
    # Who was added to which campaign, the source does not say.
    return [*found[:3], "", *found[4:]]


def _cells(
    table: str, key: str, name: str, events: Counter[str], people: Counter[str] | None, figures: Figures
) -> list[Any]:
    added = "" if figures.added is None else events[ADDED]
    rates = [
        None if figures.missing & {measure, "sent"} else share(events[measure], events["sent"])
        for measure in ("bounces", "unsubscribes")
    ]
    return [
        *(table, _plain(key), _plain(name), added),
        *("" if measure in figures.missing else events[measure] for measure in MEASURES),
        *("" if rate is None else f"{rate:.4f}" for rate in rates),
        *("" if people is None or measure in figures.missing else people[measure] for measure in PEOPLE),
    ]


def _plain(text: str) -> str:
    """Return a text in which no spreadsheet finds a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: object) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)  # type: ignore[arg-type]
    return line.getvalue()
