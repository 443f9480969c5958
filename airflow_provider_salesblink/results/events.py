"""Events as rows of a file: always the same columns, and people only in the form that was asked for."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.redaction import find_addresses, redacted
from airflow_provider_salesblink.results.forgotten import forgotten_event

if TYPE_CHECKING:
    from airflow_provider_salesblink.choices import FeedName, PeopleAs
    from airflow_provider_salesblink.client.identity import AddressHash
    from airflow_provider_salesblink.results.forgotten import ForgottenPeople

Row = dict[str, Any]

COLUMNS = (
    "id", "feed", "time", "sequence_id", "sequence_name", "lead_id", "person", "email", "message", "type", "sender",
    "node", "template_name", "link", "body", "extra",
)  # fmt: skip
"""The columns of a row, in this order. All are texts or null, except ``extra``, which is an object."""

REPORTED = ("Bounced", "Unsubscribed", "Error")
"""The messages of ``/reports`` that no other feed has."""
_IN_OTHER_FEEDS = frozenset({"sent", "opened", "clicked", "replied"})

_SOURCES = {
    "sequence_id": ("sequence_id", "sequence"),
    "lead_id": ("lead_id", "lead"),
    **{name: (name,) for name in ("sequence_name", "message", "type", "sender", "node", "template_name", "link")},
}
"""Column -> names under which SalesBlink may have it."""


class EventRows:
    """Makes a row of each event.

    :param address_hash: the connection's hash of addresses, the same as in an outcomes file.
    :param people: ``hash`` for a person's hash, ``address`` for the address too, ``none`` for neither. Unless it is
        ``address``, addresses in all other texts are replaced.
    :param bodies: whether the texts of replies are kept.
    :param campaign_id: the campaign whose events were asked for. An event that shows no campaign is of this one.
    :param forgotten: the people whose events are written without them.
    """

    def __init__(
        self,
        address_hash: AddressHash,
        people: PeopleAs = "hash",
        *,
        bodies: bool = False,
        campaign_id: str | None = None,
        forgotten: ForgottenPeople | None = None,
    ) -> None:
        self._forgotten = forgotten
        self._hash = address_hash
        self._people = people
        self._bodies = bodies
        self._campaign_id = campaign_id

    def row(self, feed: FeedName, event: Row) -> Row:
        """Return the row of an event, with the columns in :data:`COLUMNS`."""
        email = _text(event.get("email"))
        taken = {column: _first_name(event, names) for column, names in _SOURCES.items()}
        found = {column: _text(event.get(name or "")) for column, name in taken.items()}
        found["sequence_id"] = found["sequence_id"] or self._campaign_id
        used = {"time", *taken.values(), *(name for name in ("id", "_id", "email", "body") if _text(event.get(name)))}
        may_have_body = self._bodies if feed == "replies" else self._bodies or _is_reported(event)
        row = {
            **dict.fromkeys(COLUMNS),
            **{column: self._shown(text) for column, text in found.items()},
            **{column: self.reference(found[column]) for column in ("sequence_id", "lead_id", "sender")},
            "id": self._event_id(feed, event),
            "feed": feed,
            "time": time_text(event.get("time")),
            "person": self._hash.digest(email).hex() if email and self._people != "none" else None,
            "email": email if self._people == "address" else None,
            "body": self._shown(_text(event.get("body"))) if may_have_body else None,
            "extra": self._shown(
                {name: value for name, value in event.items() if name not in used and (name != "body" or may_have_body)}
            ),
        }
        is_forgotten = self._forgotten is not None and self._forgotten.has(email)
        return forgotten_event(row, self._hash, None) if is_forgotten else row

    def reference(self, text: str | None) -> str | None:
        """Return an id. One with an address in it, such as a mailbox's, becomes a hash, so that they stay apart."""
        if text and self._people != "address" and find_addresses(text):
            return self._hash.digest(f"reference {text}").hex()
        return text

    def _event_id(self, feed: str, event: Row) -> str:
        """Return an event's id. One without an id gets one from its content, which is the same each time it is read."""
        found = self.reference(_text(event.get("id")) or _text(event.get("_id")))
        # With the key: anybody could test guesses of addresses against a plain hash.
        return found or self._hash.digest(f"{feed} {json.dumps(event, sort_keys=True, default=str)}").hex()

    def _shown(self, value: Any) -> Any:  # noqa: ANN401  # a JSON value
        """Return a value as a file can hold it, without the addresses that must not be in it."""
        match value:
            case str():
                return value if self._people == "address" else redacted(value)
            case dict():
                return {self._shown(str(name)): self._shown(each) for name, each in value.items()}
            case list():
                return [self._shown(each) for each in value]
            case float() if not math.isfinite(value):
                return str(value)
            case datetime():
                return time_text(value)
        return value


def is_of_feed(feed: FeedName, event: Row, asked: str | None) -> bool:
    """Return whether an event belongs to a feed. ``/reports`` has events of all feeds, if it ignores its filter.

    :param asked: the message that ``/reports`` was asked for.
    """
    if feed != "reports" or asked is None:
        return True
    message = str(event.get("message") or "").casefold()
    others = _IN_OTHER_FEEDS | {each.casefold() for each in REPORTED if each != asked}
    return message not in others


def time_text(time: datetime | None) -> str | None:
    """Return a time as a row has it: ISO text in UTC with milliseconds, which sorts by time."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="milliseconds")


def _is_reported(event: Row) -> bool:
    return str(event.get("message") or "").casefold() in {each.casefold() for each in REPORTED}


def _first_name(event: Row, names: tuple[str, ...]) -> str | None:
    """Return the first of the names under which the event has a text or a number."""
    return next((name for name in names if _text(event.get(name)) is not None), None)


def _text(value: object) -> str | None:
    """Return a text that is not empty, or a number as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # Half of a surrogate pair would be another text in Parquet than in JSON, and with it the event another one.
    return str(value).encode(errors="backslashreplace").decode() or None
