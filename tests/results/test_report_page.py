"""The page and the CSV file of a report, without a browser."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_provider_salesblink.results.report_charts import HEIGHT, MOST_BARS, charts, steps
from airflow_provider_salesblink.results.report_csv import COLUMNS, csv_lines
from airflow_provider_salesblink.results.report_numbers import is_high, percent
from airflow_provider_salesblink.results.report_page import Heading, page
from tests.results.report_events import figures_of, row

START = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = [
    "<script>window.ran = 1</script>", "\"><img src=x onerror='window.ran = 1'>", "</title></style>", "{{ 7 * 7 }}",
    "حملة الربيع", "🚀 Launch", "=HYPERLINK(1)", "a&amp;b", "x" * 5_000,
]  # fmt: skip


def heading(title: str = "Spring", campaign_id: str | None = "c1", **changed: Any) -> Heading:
    return Heading(
        **{"since": None, "until": None, "csv_name": "report.csv", **changed}, title=title, campaign_id=campaign_id
    )


def rendered(*rows: dict[str, Any], **changed: Any) -> str:
    return page(figures_of(*rows), heading(**changed), lambda each: f"https://example.com/campaigns/{each}")


class Text(HTMLParser):
    """Reads the text of a page, the tags, and what they load."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags = Counter[str]()
        self.loads: list[str] = []
        self._in_style = False
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._in_style = tag == "style"
        self.loads += [value or "" for name, value in attrs if name in ("src", "data", "action", "poster", "srcset")]
        self.loads += [dict(attrs).get("href") or "" for _ in range(tag == "link")]

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words += data.split()

    def __str__(self) -> str:
        return " ".join(self.words)


def text(markup: str) -> str:
    return str(Text(markup))


def test_the_first_lines_say_what_when_and_until_when() -> None:
    shown = text(rendered(row("sent", 1), row("opens", 2, days=3)))

    assert shown.startswith("Spring, 2 Nov to 5 Nov 2026 – campaign report Spring 2 Nov to 5 Nov 2026. "
                            "Newest event: 5 Nov 2026, 09:00 UTC.")  # fmt: skip


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [
        (START, START + timedelta(days=30), "1 Nov to 30 Nov 2026."),
        (START, None, "1 Nov to 2 Nov 2026."),
        (None, START + timedelta(days=1, hours=12), "2 Nov 2026."),
        (START - timedelta(days=365), None, "1 Nov 2025 to 2 Nov 2026."),
    ],
)
def test_the_period_is_the_one_that_was_asked_for(since: datetime | None, until: datetime | None, shown: str) -> None:
    assert f"Spring {shown} Newest event:" in text(rendered(row("sent", 1), since=since, until=until))


def test_a_quiet_campaign_shows_until_when_the_data_is_complete() -> None:
    shown = text(rendered(row("sent", 1), data_until=START + timedelta(days=20, hours=8)))

    assert "2 Nov 2026. Data until 21 Nov 2026, 08:00 UTC. Newest event: 2 Nov 2026, 09:00 UTC." in shown


def test_without_events_the_page_says_so_and_shows_zeros() -> None:
    shown = text(rendered())

    assert shown.startswith("Spring – campaign report Spring No events yet.")
    assert "There are no events of this campaign, so every number below is 0." in shown
    assert "Mails sent 0" in shown
    assert "since 1 Nov 2026. No events yet." in text(rendered(since=START))


def test_numbers_have_separators_and_rates_their_base() -> None:
    rows = [row("sent", number, person=f"p{number % 1000}") for number in range(1_200)]
    rows += [row("reports", number, person=f"p{number}") for number in range(23)]

    shown = text(rendered(*rows))

    assert "Mails sent 1,200 to 1,000 people" in shown
    assert "Bounced 1.9% 23 of 1,200 mails" in shown


def test_people_are_counted_once_in_the_funnel_and_events_elsewhere_and_the_page_says_which() -> None:
    rows = [row("sent", number) for number in range(40)]
    rows += [row("opens", number, person=f"hash{number % 10}") for number in range(30)]

    shown = text(rendered(*rows))

    assert "People mailed 40 People who opened* 10 25.0%" in shown
    assert "Each person counts once." in shown
    assert "Opens 30 max 30" in shown
    assert "* Opens are not reliable" in shown
    without = text(rendered(*({**each, "person": None} for each in rows)))
    assert "Each event counts, so one person may count several times." in without
    assert "Mails sent 40 Opens* 30 75.0%" in without


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_and_never_markup(name: str) -> None:
    markup = rendered(row("sent", 1, sequence_name=name, sequence_id="s/1"), title=name, campaign_id=None)
    found = Text(markup)

    assert not found.tags["script"] + found.tags["img"]
    assert found.tags["title"] == 1 + found.tags["rect"]
    assert found.loads == []
    assert " ".join(name.split()) in str(found)


def test_the_page_needs_no_other_file() -> None:
    markup = rendered(
        *(row(feed, number) for number, feed in enumerate(["sent", "opens", "clicks", "replies", "reports"]))
    )
    found = Text(markup)

    assert found.loads == []
    assert not re.search(r"@import|url\(|@font-face", markup)
    assert found.tags.keys().isdisjoint({"script", "link", "img", "iframe", "object"})


def test_a_campaign_links_to_salesblink() -> None:
    assert 'href="https://example.com/campaigns/c1"' in rendered(row("sent", 1))
    both = rendered(row("sent", 1), row("sent", 2, sequence_id="c2"), campaign_id=None, title="All campaigns")
    assert 'href="https://example.com/campaigns/c2"' in both
    assert 'href="https' not in page(figures_of(row("sent", 1)), heading(), lambda _: "")


def test_the_same_figures_make_the_same_page_in_any_order_of_the_events() -> None:
    rows = [row(feed, number, days=number % 4) for number in range(50) for feed in ("sent", "opens", "reports")]

    assert rendered(*rows) == rendered(*reversed(rows))


def test_the_page_says_what_it_left_out() -> None:
    rows = [row("sent", 1), row("sent", 2, person=None), row("sent", 3, days=100), {**row("sent", 4), "time": None}]

    shown = text(rendered(*rows))

    assert "1 event does not say whose it is, and is not in the numbers of people." in shown
    assert "1 event is dated in the future and left out until then." in shown
    assert "1 event has no time and is left out." in shown


@pytest.mark.parametrize(
    ("count", "base", "shown"),
    [
        (23, 1_200, "1.9%"),
        (0, 50, "0.0%"),
        (1, 5_000, "<0.1%"),
        (1, 5, ""),
        (0, 0, ""),
        (30, 20, ""),
        (20, 20, "100.0%"),
    ],
)
def test_a_percentage_needs_a_base_that_carries_it(count: int, base: int, shown: str) -> None:
    assert percent(count, base) == shown


@pytest.mark.parametrize(
    ("measure", "count", "base", "expected"),
    [
        ("bounces", 11, 200, True), ("bounces", 10, 200, False), ("bounces", 100, 199, False),
        ("bounces", 1, 1, False), ("unsubscribes", 5, 200, True), ("unsubscribes", 4, 200, False),
        ("bounces", 300, 200, False),
    ],
)  # fmt: skip
def test_only_a_large_sample_is_marked_as_high(measure: str, count: int, base: int, expected: bool) -> None:
    assert is_high(measure, count, base) is expected


def test_a_high_rate_is_marked_in_words_too() -> None:
    rows = [row("sent", number) for number in range(300)]
    few = [row("reports", number) for number in range(9)]
    many = [row("reports", number) for number in range(60)]

    assert "Bounced 20.0% high 60 of 300 mails" in text(rendered(*rows, *many))
    assert " high 9 of" not in text(rendered(*rows, *few))
    assert " high " not in text(rendered(*rows[:19], *few)).replace("marked as high", "")


def test_the_unsubscribes_of_a_day_are_never_marked_and_its_bounces_are() -> None:
    mails = [row("sent", number) for number in range(300)]
    after = [row("reports", number, message="Unsubscribed") for number in range(30)]
    bounces = [row("reports", 100 + number) for number in range(30)]

    by_day = text(rendered(*mails, *after, *bounces)).partition("Day (UTC)")[2]

    assert "10.0% high 30 of 300 10.0% 30 of 300" in by_day


def test_many_mailboxes_are_cut_on_the_page_but_not_in_the_csv() -> None:
    figures = figures_of(*(row("sent", number, sender=f"mailbox-{number}") for number in range(150)))

    assert "And 50 more, in the CSV file." in text(page(figures, heading(), str))
    assert sum(line.startswith("mailbox,") for line in csv_lines(figures, "Spring")) == 150


def test_long_ids_of_mailboxes_differ_on_the_page() -> None:
    ids = ["5d0b1c1e-2a7e-4f51-9b0a-0000000000aa", "5d0b1c1e-2a7e-4f51-9b0a-0000000000bb"]

    shown = text(rendered(*(row("sent", number, sender=each) for number, each in enumerate(ids))))

    assert "5d0b1c1e-2a7…000000000aa" in shown
    assert "5d0b1c1e-2a7…000000000bb" in shown


@pytest.mark.parametrize(("added", "is_shown"), [(1, False), (2, True), (5, True)])
def test_a_funnel_never_widens(added: int, is_shown: bool) -> None:
    figures = figures_of(row("sent", 1), row("sent", 2))
    events = figures.total.events + Counter(added=added - figures.total.events["added"])
    figures = replace(figures, added="outcomes", total=replace(figures.total, events=events))

    shown = text(page(figures, heading(), str)).partition("From the first mail")[2].partition("Over time")[0]

    assert (f"People added {added}" in shown) is is_shown
    assert "People mailed 2" in shown


# Charts


@pytest.mark.parametrize(
    ("length", "step"), [(1, "day"), (62, "day"), (63, "week"), (434, "week"), (435, "month"), (1_800, "month")]
)
def test_a_long_time_has_longer_steps_and_no_event_is_lost(length: int, step: str) -> None:
    days = {date(2024, 1, 1) + timedelta(days=offset): Counter(sent=2) for offset in range(length)}

    over_time = steps(days)
    (chart,) = charts(over_time, {"sent": "Mails sent"})

    assert over_time.name == step
    assert chart.total == 2 * length
    assert len(chart.bars) <= MOST_BARS + 1
    assert sum(int(bar.label.rpartition(": ")[2]) for bar in chart.bars) == 2 * length


def test_a_bar_for_one_event_next_to_thousands_is_visible() -> None:
    over_time = steps({date(2026, 11, 1): Counter(sent=9_000), date(2026, 11, 3): Counter(sent=1)})

    (chart,) = charts(over_time, {"sent": "Mails sent"})

    high, low = chart.bars
    assert (high.height, high.label) == (HEIGHT, "1 Nov 2026: 9,000")
    assert low.height >= 1
    assert chart.peak == "most: 9,000 on 1 Nov"


def test_the_table_of_a_long_time_has_weeks() -> None:
    shown = text(rendered(row("sent", 1), row("sent", 2, days=1), row("sent", 3, days=-100)))

    assert "By week Week from (UTC)" in shown
    assert "20 Jul 2026 1 0 0 0" in shown
    assert "2 Nov 2026 2 0 0 0" in shown
    assert "27 Jul 2026 0" not in shown


# CSV


def test_the_csv_has_the_same_figures() -> None:
    rows = [row("sent", number, days=number % 2, person=f"p{number % 30}") for number in range(60)]
    rows += [row("reports", number, sender="m2") for number in range(3)]
    figures = figures_of(*rows)

    found = list(csv.DictReader(csv_lines(figures, "Spring, 2026")))

    assert list(found[0]) == list(COLUMNS)
    total = found[0]
    assert (total["table"], total["name"], total["sent"], total["bounces"]) == ("total", "Spring, 2026", "60", "3")
    assert (total["bounce_rate"], total["people_mailed"], total["people_added"]) == ("0.0500", "30", "30")
    assert [(each["key"], each["sent"]) for each in found if each["table"] == "day"] == [
        ("2026-11-02", "30"), ("2026-11-03", "30"),
    ]  # fmt: skip
    assert [(each["key"], each["bounce_rate"]) for each in found if each["table"] == "mailbox"] == [
        ("m1", "0.0000"), ("m2", ""),
    ]  # fmt: skip
    assert [(each["key"], each["name"]) for each in found if each["table"] == "campaign"] == [("c1", "Spring")]
    assert {each["people_added"] for each in found if each["table"] in ("mailbox", "campaign")} == {""}


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_spreadsheet_finds_a_formula_in_a_name(name: str) -> None:
    figures = figures_of(row("sent", 1, sequence_name=name, sequence_id=name.replace("@", "")))

    for found in csv.DictReader(csv_lines(figures, name)):
        assert not found["name"].startswith(("=", "+", "-", "@"))
        assert not found["key"].startswith(("=", "+", "-", "@"))
