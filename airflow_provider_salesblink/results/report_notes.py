"""What a report says of the files that it was made from: what was extracted into them, and what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.results.figures import clean_name
from airflow_provider_salesblink.results.report_numbers import day

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airflow_provider_salesblink.results.folder_contents import FolderContents

ALL_CAMPAIGNS = "All campaigns"
_FEEDS = {"reports": "reports (bounces and unsubscribes)"}
_MOST_NAMES = 10


def title_of(campaign_id: str | None, contents: FolderContents | None, names: Mapping[str, str]) -> str:
    """Return what a report is about.

    :param campaign_id: None for all campaigns.
    :param contents: what the folder of events holds; None if the figures come from SalesBlink.
    :param names: campaign's id -> name.
    """
    only = contents.only_campaigns if contents else None
    if campaign_id is None and only is None:
        return ALL_CAMPAIGNS
    shown = (campaign_id,) if campaign_id is not None else only or ()
    return _name(shown[0], names) if len(shown) == 1 else f"{len(shown):,} campaigns"


def notes_of(
    contents: FolderContents, campaign_id: str | None, since: datetime | None, names: Mapping[str, str]
) -> list[str]:
    """Return sentences about what a folder holds, where it is less than the report asks for."""
    found = []
    if missing := contents.missing(campaign_id):
        shown = ", ".join(_FEEDS.get(feed, feed) for feed in missing)
        found.append(f"Not extracted, so not known here: {shown}.")
    if campaign_id is None:
        found += [_only(campaigns, feeds, names) for campaigns, feeds in contents.limited.items()]
    if since and contents.first_day and contents.first_day > since.date():
        found.append(f"Events are there from {day(contents.first_day)}.")
    return found


def _only(campaigns: tuple[str, ...], feeds: Iterable[str], names: Mapping[str, str]) -> str:
    shown = ", ".join(_name(each, names) for each in campaigns[:_MOST_NAMES])
    more = len(campaigns) - _MOST_NAMES
    return (
        f"Extracted for these campaigns only: {shown}{f', and {more:,} more' if more > 0 else ''} ({', '.join(feeds)})."
    )


def _name(campaign_id: str, names: Mapping[str, str]) -> str:
    return names.get(campaign_id) or clean_name(campaign_id)
