"""What a folder of extracted events holds: which feeds, of which campaigns, and from which day on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, get_args

from airflow_provider_salesblink.choices import FeedName
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.results.event_files import is_data_file
from airflow_provider_salesblink.results.feed_record import NAME, load_record

if TYPE_CHECKING:
    from airflow_provider_salesblink.results.folder import Folder

FEEDS: tuple[FeedName, ...] = get_args(FeedName)


@dataclass(frozen=True)
class FolderContents:
    """What a folder holds.

    :param campaigns: each feed that was extracted -> the ids of its campaigns; None for all, or if it is not known.
    :param first_day: the day of the first file; None without one.
    """

    campaigns: dict[FeedName, tuple[str, ...] | None]
    first_day: date | None

    @property
    def only_campaigns(self) -> tuple[str, ...] | None:
        """Return the only campaigns whose events the folder holds; None for all, or if it is not known."""
        known = [found for found in self.campaigns.values() if found is not None]
        if len(known) < len(self.campaigns):
            return None
        return tuple(sorted({each for found in known for each in found}))

    @property
    def limited(self) -> dict[tuple[str, ...], list[FeedName]]:
        """Return the campaigns of feeds that were not extracted for all campaigns -> these feeds."""
        found: dict[tuple[str, ...], list[FeedName]] = {}
        for feed, campaigns in self.campaigns.items():
            if campaigns is not None:
                found.setdefault(campaigns, []).append(feed)
        return found

    def feeds(self, campaign_id: str | None) -> list[FeedName]:
        """Return the feeds that were extracted, for this campaign if one is named."""
        return [feed for feed in FEEDS if self._has(feed, campaign_id)]

    def missing(self, campaign_id: str | None) -> list[FeedName]:
        """Return the feeds that were not extracted, for this campaign if one is named."""
        return [feed for feed in FEEDS if not self._has(feed, campaign_id)]

    def check_campaign(self, campaign_id: str) -> None:
        """Raise if it is certain that the folder does not hold a campaign's events.

        :raises InvalidInputError: only other campaigns were extracted.
        """
        if len(self.missing(campaign_id)) == len(FEEDS):
            known = ", ".join(map(repr, self.only_campaigns or ()))
            raise InvalidInputError(
                f"events_path does not hold campaign {campaign_id!r}: the events of {known} were extracted into it, "
                "and no others. Extract this campaign too, or pass the folder that it was extracted into."
            )

    def _has(self, feed: FeedName, campaign_id: str | None) -> bool:
        known = self.campaigns.get(feed, ())
        return known is None or (bool(known) if campaign_id is None else campaign_id in known)


def contents_of(folder: Folder, path: str) -> FolderContents:
    """Return what a folder holds.

    :param path: the folder as the user names it.

    :raises InvalidInputError: no feed was extracted into it, or a feed's record cannot be read.
    """
    names = {feed: folder.names(feed) for feed in FEEDS}
    there = [feed for feed in FEEDS if any(map(_is_of_extraction, names[feed]))]
    if not there:
        raise InvalidInputError(
            f"events_path {path!r} has no folder of a feed. Pass the output_path of ExtractEventsOperator, the "
            "folder above sent/, after it ran."
        )
    records = {feed: load_record(folder, feed) for feed in there}
    days = [day for feed in there for name in names[feed] if is_data_file(name) and (day := _day(name))]
    return FolderContents(
        {feed: record.campaigns if record else None for feed, record in records.items()}, min(days, default=None)
    )


def _is_of_extraction(name: str) -> bool:
    return is_data_file(name) or name == NAME or name.startswith("_cursor")


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name.partition(".")[0])
    except ValueError:
        return None
