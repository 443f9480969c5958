"""A report as one HTML page that needs no other file: for a browser, a phone, and print."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from airflow_provider_salesblink.results import report_numbers as numbers
from airflow_provider_salesblink.results.figures import ADDED
from airflow_provider_salesblink.results.report_charts import HEIGHT, WIDTH, charts, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from jinja2 import Template

    from airflow_provider_salesblink.results.figures import Figures

MOST_ROWS = 100
"""Mailboxes or campaigns that the page shows. The CSV file has all."""

GENERATOR = "airflow-provider-salesblink CampaignReportOperator"
"""What the head of each page names as its writer. Airflow's UI shows only such pages."""
TITLE_END = " \u2013 campaign report"
"""The end of each page's title."""

_TITLES = {
    "sent": "Mails sent",
    "opens": "Opens",
    "clicks": "Clicks",
    "replies": "Replies",
    "bounces": "Bounces",
    "unsubscribes": "Unsubscribes",
}
_PEOPLE = {
    "sent": "People mailed",
    "opens": "People who opened",
    "clicks": "People who clicked",
    "replies": "People who replied",
}


@dataclass(frozen=True)
class Heading:
    """What a report is about.

    :param title: the campaign's name, or that it is about all campaigns.
    :param campaign_id: None for all campaigns.
    :param since: where the report starts; None for the first event.
    :param until: where it ends; None for the newest event.
    :param csv_name: the name of the file with the same figures, in the page's folder.
    :param data_until: until when everything has been extracted; None if that is not known.
    :param notes: sentences about the files that the figures come from.
    """

    title: str
    campaign_id: str | None
    since: datetime | None
    until: datetime | None
    csv_name: str
    data_until: datetime | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Stage:
    """A bar of the funnel.

    :param count: None if it is not known.
    :param share: its length, from 0 to 100.
    :param rate: the number in percent of those who were mailed; empty for none.
    """

    title: str
    count: int | None
    share: float
    rate: str
    is_unreliable: bool


def page(figures: Figures, heading: Heading, link: Callable[[str], str]) -> str:
    """Return the page.

    :param link: returns the URL of a campaign's page in SalesBlink; empty where there is none.
    """
    titles = ({ADDED: "People added"} if figures.added else {}) | _TITLES
    titles = {measure: title for measure, title in titles.items() if measure not in figures.missing}
    over_time = steps(figures.days)
    return _template().render(
        generator=GENERATOR,
        title_end=TITLE_END,
        figures=figures,
        over_time=over_time,
        heading=heading,
        period=_period(figures, heading),
        link=link,
        charts=[] if figures.is_empty else charts(over_time, titles),
        funnel=_funnel(figures),
        size=(WIDTH, HEIGHT),
        most_rows=MOST_ROWS,
        least=(numbers.LEAST_FOR_PERCENT, numbers.LEAST_FOR_WARNING),
        limits=numbers.HIGH,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"percent": numbers.percent, "is_high": numbers.is_high, "counted": numbers.counted}
    environment.globals |= {"share": numbers.share}
    environment.filters |= {"number": numbers.number, "day": numbers.day, "minute": numbers.minute}
    source = files("airflow_provider_salesblink.results").joinpath("report.html.jinja")
    return environment.from_string(source.read_text(encoding="utf-8"))


def _period(figures: Figures, heading: Heading) -> str:
    """Return the days that a report is about; empty if there are none."""
    days = [heading.since.date()] if heading.since else [*figures.days][:1]
    days += [_last_day(heading.until)] if heading.until else [*figures.days][-1:]
    if len(days) == 2:
        return _days(*days)
    if not days:
        return ""
    return f"since {numbers.day(days[0])}" if heading.since else f"until {numbers.day(days[0])}"


def _last_day(until: datetime) -> date:
    return (until - timedelta(milliseconds=1)).date()


def _days(first: date, last: date) -> str:
    if first == last:
        return numbers.day(first)
    start = numbers.short_day(first) if first.year == last.year else numbers.day(first)
    return f"{start} to {numbers.day(last)}"


def _funnel(figures: Figures) -> list[Stage]:
    """Return the funnel's bars: people if it is known who they are, events otherwise."""
    people = figures.total.people
    counts, titles = (figures.total.events, _TITLES) if people is None else (people, _PEOPLE)
    known = {measure: counts[measure] for measure in _PEOPLE if measure not in figures.missing}
    # Outcomes that cover only a part of the people would make a funnel that widens.
    if figures.added == "outcomes" and figures.total.events[ADDED] >= known.get("sent", 0):
        known, titles = {ADDED: figures.total.events[ADDED], **known}, {ADDED: "People added", **titles}
    widest, mailed = max(known.values(), default=0) or 1, known.get("sent", 0)
    return [
        _stage(measure, titles[measure], known.get(measure), widest, mailed)
        for measure in (ADDED, *_PEOPLE)
        if measure in known or measure in figures.missing
    ]


def _stage(measure: str, title: str, count: int | None, widest: int, mailed: int) -> Stage:
    rate = "" if measure in (ADDED, "sent") or count is None else numbers.percent(count, mailed)
    return Stage(title, count, round(100 * (count or 0) / widest, 2), rate, measure == "opens")
