"""What the files of a feed are about: a record next to them, which each extraction checks and keeps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.identity import AddressHash
    from airflow_provider_salesblink.results.folder import Folder

NAME = "_extracted.json"
_VERSION = 1
_FINGERPRINT_OF = "fingerprint of the key"


@dataclass(frozen=True)
class FeedRecord:
    """What the files of a feed are about.

    :param people: the extraction's argument.
    :param key: shows whether two extractions hash with the same key, and nothing else of it.
    :param campaigns: the ids of the campaigns whose events were extracted; None for all, or if it is not known.
    """

    people: str
    key: str
    campaigns: tuple[str, ...] | None

    def joined(self, campaigns: tuple[str, ...] | None) -> FeedRecord:
        """Return the record of these files and of further campaigns."""
        known = None if self.campaigns is None or campaigns is None else {*self.campaigns, *campaigns}
        return FeedRecord(self.people, self.key, None if known is None else tuple(sorted(known)))

    def check(self, earlier: FeedRecord, feed: str) -> None:
        """Raise if the files would hold one person in two forms.

        :param earlier: the record of the files that are there.
        :raises InvalidInputError: the extraction hashes with another key, or has another ``people``.
        """
        if self.key != earlier.key:
            raise InvalidInputError(
                f"The events of {feed} in output_path were extracted with another hash_key (without one, another API "
                "key), so the same person would count twice. Set the connection's hash_key back to that value, or "
                "extract everything again into a new output_path."
            )
        if self.people != earlier.people:
            raise InvalidInputError(
                f"The events of {feed} in output_path were extracted with people={earlier.people!r}, and now people is "
                f"{self.people!r}, so the same person would count twice. Keep the earlier value, or extract everything "
                "again into a new output_path."
            )


def record_of(addresses: AddressHash, people: str, campaign_id: str | None) -> FeedRecord:
    """Return the record of an extraction."""
    return FeedRecord(people, key_fingerprint(addresses), (campaign_id and (campaign_id,)) or None)


def key_fingerprint(addresses: AddressHash) -> str:
    """Return a text that shows whether two runs hash with the same key, and nothing else of it."""
    return addresses.digest(_FINGERPRINT_OF).hex()[:16]


def load_record(folder: Folder, feed: str) -> FeedRecord | None:
    """Return the record of a feed's files; None if there is none.

    :raises InvalidInputError: it cannot be read.
    """
    try:
        with folder.opened(f"{feed}/{NAME}") as file:
            return _decoded(json.load(file))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(
            f"{feed}/{NAME} cannot be read, so it is not known which campaigns and which key the files of {feed} are "
            "of. Restore it, or delete it if neither has changed."
        ) from error


def save_record(folder: Folder, feed: str, record: FeedRecord, *, has_files: bool) -> None:
    """Add an extraction to the record of a feed's files. The caller holds the folder's lock.

    :param has_files: whether there were files before. Without a record, these may be of any campaign.
    :raises InvalidInputError: the files are of another key, or of another ``people``.
    """
    earlier = load_record(folder, feed)
    if earlier is not None:
        record.check(earlier, feed)
        record = earlier.joined(record.campaigns)
    elif has_files:
        record = record.joined(None)
    if record != earlier:
        text = json.dumps({"version": _VERSION, **asdict(record)}) + "\n"

        def write(file: IO[bytes]) -> None:
            file.write(text.encode())

        folder.replace(f"{feed}/{NAME}", write)


def _decoded(stored: dict[str, Any]) -> FeedRecord:
    if stored["version"] != _VERSION:
        raise ValueError(stored["version"])
    campaigns = stored["campaigns"]
    return FeedRecord(str(stored["people"]), str(stored["key"]), None if campaigns is None else tuple(campaigns))
