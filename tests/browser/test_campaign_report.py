"""The page of a campaign report: light and dark, on a phone and in print, with names that try to be markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.results.report_page import Heading, page
from tests.results.report_events import figures_of, row

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

# In the same group as the tests that need Airflow, because they share the browser.
pytestmark = [pytest.mark.generation(3), pytest.mark.xdist_group("real-airflow")]

MARKUP = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
LONG = "Sehrlangername" * 11
ARABIC = "حملة الربيع"
NAMES = [MARKUP, LONG, ARABIC, "🚀 Launch"]
PHONE = {"width": 390, "height": 800}


def events(count: int) -> list[dict[str, Any]]:
    """Return mails of four campaigns and two mailboxes over 20 days, and what came of them."""
    mails = [
        row("sent", number, days=number % 20, sequence_id=f"c/{number % 4}", sequence_name=NAMES[number % 4],
            sender="m1" if number % 3 else "f3" * 32)
        for number in range(count)
    ]  # fmt: skip
    opens = [{**mail, "feed": "opens", "message": "Opened"} for mail in mails[::2]]
    bounces = [{**mail, "feed": "reports", "message": "Bounced"} for mail in mails[::10]]
    return [*mails, *opens, *bounces]


def open_report(
    browser_page: Page, folder: Path, rows: list[dict[str, Any]], title: str = "All campaigns"
) -> list[str]:
    """Open a report from its file, and return what the browser complained about or loaded besides."""
    heading = Heading(title, None, None, None, "report.csv")
    path = folder / "report.html"
    path.write_text(page(figures_of(*rows), heading, lambda each: f"https://example.com/{each}"), encoding="utf-8")
    found: list[str] = []
    browser_page.on("console", lambda message: found.append(message.text))
    browser_page.on("pageerror", lambda error: found.append(str(error)))
    browser_page.on("request", lambda request: found.append(request.url))
    browser_page.goto(path.as_uri())
    return [each for each in found if each != path.as_uri()]


@pytest.mark.parametrize("count", [0, 1, 2_000])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_loads_nothing(page: Page, tmp_path: Path, count: int, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})

    assert open_report(page, tmp_path, events(count), title=LONG) == []

    assert page.evaluate("document.documentElement.scrollWidth") == width
    # What is left of a row's end, or of a card's, would be cut off.
    assert page.evaluate(_CUT_OFF) == []


_CUT_OFF = """
[...document.querySelectorAll("h1, .card *, .funnel *, figcaption *, th, td")]
    .filter(each => each.checkVisibility() && !each.closest("thead"))
    .filter(each => each.getBoundingClientRect().right > innerWidth || each.scrollWidth > each.clientWidth + 1
        && getComputedStyle(each).display !== "inline")
    .map(each => each.outerHTML.slice(0, 80))
"""


def test_dark_follows_the_reader_and_both_have_enough_contrast(page: Page, tmp_path: Path) -> None:
    open_report(page, tmp_path, events(2_000))
    for scheme, is_dark in (("light", False), ("dark", True)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        pairs = page.evaluate(_COLORS)

        assert (_luminance(pairs["page"]) < 0.2) is is_dark
        for name in ("ink", "soft", "bar", "high"):
            assert _contrast(pairs[name], pairs["surface"]) >= 4.5, (scheme, name)


_COLORS = """
() => {
    const probe = document.body.appendChild(document.createElement("i"));
    const found = {};
    for (const name of ["page", "surface", "ink", "soft", "bar", "high"]) {
        probe.style.color = `var(--${name})`;
        found[name] = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
    }
    probe.remove();
    return found;
}
"""


def _luminance(color: list[int]) -> float:
    parts = [each / 255 / 12.92 if each <= 10 else ((each / 255 + 0.055) / 1.055) ** 2.4 for each in color]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _contrast(one: list[int], other: list[int]) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_names_are_text_and_arabic_reads_from_right_to_left(page: Page, tmp_path: Path) -> None:
    open_report(page, tmp_path, events(40), title=MARKUP)

    assert page.evaluate("window.ran") is None
    assert page.locator("h1").inner_text() == MARKUP
    assert page.locator("img, script").count() == 0
    arabic = page.get_by_role("rowheader", name=ARABIC)
    assert arabic.evaluate("each => getComputedStyle(each).direction") == "rtl"
    assert page.get_by_role("link", name="🚀 Launch").get_attribute("href") == "https://example.com/c/3"


def test_a_high_rate_is_marked_and_a_small_sample_is_not(page: Page, tmp_path: Path) -> None:
    open_report(page, tmp_path, events(2_000))
    card = page.locator(".card").filter(has_text="Bounced")
    assert card.get_by_text("high").is_visible()
    assert "200 of 2,000 mails" in card.inner_text()

    open_report(page, tmp_path, events(100))
    assert page.locator(".mark").count() == 0


def test_bars_name_their_day_and_number(page: Page, tmp_path: Path) -> None:
    open_report(page, tmp_path, events(200))

    chart = page.get_by_role("img", name="Mails sent by day: 200 in all")
    assert chart.locator("rect").count() == 20
    assert chart.locator("title").first.text_content() == "2 Nov 2026: 10"


def test_in_print_the_page_is_white_and_nothing_is_hidden(page: Page, tmp_path: Path) -> None:
    open_report(page, tmp_path, events(40_000))
    page.emulate_media(media="print", color_scheme="dark")
    # The width of A4 without its margins.
    page.set_viewport_size({"width": 703, "height": 900})

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") == 703
    assert page.evaluate(_CUT_OFF) == []
    assert page.evaluate(_OVERFLOWING_CAPTIONS) == []
    assert page.get_by_role("columnheader", name="Day (UTC)").is_visible()
    assert page.get_by_role("row").filter(has_text="2026").count() == 20
    assert page.pdf(format="A4").startswith(b"%PDF")


_OVERFLOWING_CAPTIONS = """
[...document.querySelectorAll("figcaption")]
    .filter(each => each.scrollWidth > each.clientWidth)
    .map(each => each.innerText)
"""


def test_on_a_phone_each_number_has_its_name(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    open_report(page, tmp_path, events(400))

    cell = page.get_by_role("row").filter(has_text="2 Nov 2026").get_by_role("cell").first
    assert cell.evaluate('each => getComputedStyle(each, "::before").content') == '"Mails sent"'
