"""Find what changed in a campaign between two polls, and remember what was seen."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from airflow_provider_salesblink.client import Prospect

ChangeKind = Literal["appeared", "changed", "unsubscribed"]
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)

Change = dict[str, str]
"""``event``, ``prospect_id`` and ``key``. The same change always gets the same key."""

AnyChange = TypeVar("AnyChange", bound="Mapping[str, str | None]")

_OPTED_OUT = "!"
_SHELVES = 128
"""Number of parts to store the states in. Airflow's store is meant for values up to 64 KB: 100,000 people fit."""


class Snapshot:
    """Everybody in a campaign at one moment: for each id, a short hash of the person's data.

    It holds no address and no field value. It leaves out people without an id, who cannot be recognized later.
    """

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def add(self, prospect: Prospect) -> None:
        """Add a person, unless they have no id."""
        if prospect["id"] is not None:
            data = json.dumps([prospect["email"], prospect["fields"]], sort_keys=True, default=str)
            self.states[prospect["id"]] = short_hash(data, 6) + (_OPTED_OUT if prospect["unsubscribed"] else "")


class Cursor:
    """The known state of a campaign's people, to compare new snapshots with.

    People who are gone stay known: an answer that omits a person once must not make them new.
    """

    def __init__(self, known: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._states: dict[str, str] = {}
        for shelf in (known or {}).values():
            self._states.update(shelf)
        self._unsaved: set[str] = set()

    def begin(self, snapshot: Snapshot) -> None:
        """Take everybody in ``snapshot`` as known. Report nothing."""
        for prospect_id, state in snapshot.states.items():
            self._know(prospect_id, _with_count(state, 0))

    def advance(self, snapshot: Snapshot) -> Iterator[Change]:
        """Yield what is new in ``snapshot``, and take it as known.

        A person who appears already unsubscribed gives two changes.
        """
        for prospect_id, state in snapshot.states.items():
            known = self._states.get(prospect_id)
            if known is None:
                self._know(prospect_id, _with_count(state, 0))
                yield _change("appeared", prospect_id)
            else:
                yield from self._compared(prospect_id, known, state)
            if state.endswith(_OPTED_OUT) and not (known or "").endswith(_OPTED_OUT):
                yield _change("unsubscribed", prospect_id)

    def _compared(self, prospect_id: str, known: str, state: str) -> Iterator[Change]:
        fields, _, count = known.removesuffix(_OPTED_OUT).partition(".")
        if fields != state.removesuffix(_OPTED_OUT):
            # The count gives a change another key than the same change made later, after it was undone.
            self._know(prospect_id, _with_count(state, int(count) + 1))
            yield _change("changed", prospect_id, count, state.removesuffix(_OPTED_OUT))
        elif known.endswith(_OPTED_OUT) != state.endswith(_OPTED_OUT):
            self._know(prospect_id, _with_count(state, int(count)))

    def _know(self, prospect_id: str, state: str) -> None:
        self._states[prospect_id] = state
        self._unsaved.add(_shelf_of(prospect_id))

    def unsaved(self) -> dict[str, dict[str, str]]:
        """Return the shelves that changed since the last call. ``Cursor(known)`` takes them back."""
        shelves: dict[str, dict[str, str]] = {name: {} for name in self._unsaved}
        self._unsaved = set()
        if shelves:
            for prospect_id, state in self._states.items():
                if (name := _shelf_of(prospect_id)) in shelves:
                    shelves[name][prospect_id] = state
        return shelves


SHELVES = tuple(str(number) for number in range(_SHELVES))
"""All names of shelves that :meth:`Cursor.unsaved` may return."""


def of_kinds(changes: Iterator[AnyChange], kinds: Collection[str]) -> Iterator[AnyChange]:
    """Return the changes of these kinds."""
    return (change for change in changes if change["event"] in kinds)


def _shelf_of(prospect_id: str) -> str:
    return str(zlib.crc32(prospect_id.encode(errors="surrogatepass")) % _SHELVES)


def _with_count(state: str, count: int) -> str:
    opted_out = _OPTED_OUT if state.endswith(_OPTED_OUT) else ""
    return f"{state.removesuffix(_OPTED_OUT)}.{count}{opted_out}"


def _change(kind: ChangeKind, prospect_id: str, *what: str) -> Change:
    return {"event": kind, "prospect_id": prospect_id, "key": short_hash(json.dumps([kind, prospect_id, *what]), 12)}


def short_hash(text: str, size: int) -> str:
    """Return a hash of ``size`` bytes as text that is safe in a URL."""
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=size).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
