"""Figures for a report that come from SalesBlink's API v1 instead of from extracted files."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_salesblink.choices import FeedName
from airflow_provider_salesblink.results.events import EventRows
from airflow_provider_salesblink.results.feed_reader import FeedReader
from airflow_provider_salesblink.results.figures import MEASURES, Figures, Group, by_size, clean_name
from airflow_provider_salesblink.results.windows import EVENTS_PER_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.results.windows import Window

FEEDS: tuple[FeedName, ...] = get_args(FeedName)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Sent where a report has no start: which one SalesBlink assumes is not documented."""


def workspace_figures(client: SalesBlinkClient, window: Window) -> Figures:
    """Return the figures of the whole workspace, as SalesBlink counts them. This takes two requests, or a few more.

    :raises UnsupportedByApiError: the connection uses the classic API.
    """
    since, until = window.since or EARLIEST, window.until
    days = {}
    for each in client.analytics.daily(since, until):
        if each["date"] and (counts := _counts(each)):
            days[date.fromisoformat(each["date"][:10])] = counts
    mailboxes = list(client.analytics.mailboxes(since, until))
    newest = [each["last_activity"] for each in mailboxes if isinstance(each.get("last_activity"), datetime)]
    groups = [_mailbox(client, each) for each in mailboxes]
    return Figures(
        total=Group(None, "", sum(days.values(), Counter())),
        days=dict(sorted(days.items())),
        mailboxes=sorted(groups, key=by_size),
        newest=max(newest, default=None),
        is_by_salesblink=True,
    )


def campaign_events(client: SalesBlinkClient, campaign_id: str, window: Window) -> Iterator[dict[str, Any]]:
    """Yield the events of a campaign as rows of event files. SalesBlink returns 100 a request.

    Keeps the events of one feed in memory.

    :raises UnsupportedByApiError: the connection uses the classic API.
    """
    rows = EventRows(client.addresses, campaign_id=campaign_id)
    for feed in FEEDS:
        found: dict[str, dict[str, Any]] = {}
        FeedReader(client, feed, campaign_id).read(window, lambda event: _keep(rows.row(feed, event), found))  # noqa: B023
        yield from found.values()


def _keep(row: dict[str, Any], found: dict[str, dict[str, Any]]) -> bool:
    is_new = row["id"] not in found
    found[row["id"]] = row
    return is_new


def requests_for(client: SalesBlinkClient, campaign_id: str) -> int:
    """Return about how many requests the events of a campaign take, over its whole life.

    :raises NotFoundError: there is no such campaign.
    """
    stats = client.sequences.stats(campaign_id)
    names = ("sent", "opens", "link_clicks", "replies", "bounced", "unsubscribed")
    counts = (stats.get(name) for name in names)
    return sum(1 + (count // EVENTS_PER_PAGE if isinstance(count, int) else 0) for count in counts)


def campaign_names(client: SalesBlinkClient, campaign_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of campaigns, without those that SalesBlink does not show, such as archived ones."""
    wanted = set(campaign_ids)
    found = {each["id"]: each["name"] for each in (client.campaigns.list() if wanted else ())}
    return {each: clean_name(name) for each in wanted if (name := found.get(each))}


def _counts(totals: Mapping[str, Any]) -> Counter[str]:
    found = {name: totals.get(name) for name in MEASURES}
    return Counter({name: count for name, count in found.items() if isinstance(count, int) and count > 0})


def _mailbox(client: SalesBlinkClient, totals: Mapping[str, Any]) -> Group:
    # As the files of events show it.
    sender = EventRows(client.addresses).reference(totals["sender_id"])
    return Group(sender, clean_name(sender or ""), _counts(totals))
