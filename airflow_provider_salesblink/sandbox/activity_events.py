"""What happens to people and campaigns without a request: one thing at a time, to whomever the dice choose."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox.activity import HAPPENINGS
from airflow_provider_salesblink.sandbox.options import SandboxUsageError, known
from airflow_provider_salesblink.sandbox.store import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox.store import CampaignState, Store

REPLIED = "Replied"
NAMES = ("Gita", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona", "Nils")
MOST_KEPT = 10_000


@dataclass(frozen=True)
class Happening:
    """Something that happened.

    :param happening: one of ``HAPPENINGS``.
    :param id: id of the prospect or the campaign that it happened to; of the new prospect for ``appear``.
    :param name: its address, or the campaign's name.
    :param at: the Unix time of it.
    """

    happening: str
    id: str
    name: str
    at: float


class Happenings:
    """Lets things happen, and remembers the last ones."""

    def __init__(self, store: Store, random_seed: int) -> None:
        self._store = store
        self._random_seed = random_seed
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget what happened; the dice start anew."""
        with self._lock:
            self._dice = random.Random(self._random_seed)
            self._entries: deque[Happening] = deque(maxlen=MOST_KEPT)

    def entries(self) -> list[Happening]:
        """All that is kept, oldest first."""
        with self._lock:
            return list(self._entries)

    def happen(self, happening: str, to: str | None = None) -> Happening | None:
        """Let one thing happen, at random or to one id; None if nobody and nothing is left for it."""
        known(happening, HAPPENINGS, "happening")
        fitting, deed = _DEEDS[happening]
        with self._lock:
            ids = fitting(self._store)
            if to is not None and to not in ids:
                message = f"'{happening}' cannot happen to '{to}'. It means: {HAPPENINGS[happening]}"
                raise SandboxUsageError(message)
            if not ids:
                return None
            left = deed(self._store, to or self._dice.choice(ids), self._dice)
            return self._noted(happening, left) if left else None

    def _noted(self, happening: str, left: Person | CampaignState) -> Happening:
        name = left.email if isinstance(left, Person) else left.name
        self._entries.append(Happening(happening, left.id, name, time.time()))
        return self._entries[-1]


def _subscribed(store: Store) -> list[str]:
    return store.subscribed()


def _running(store: Store) -> list[str]:
    return [campaign.id for campaign in store.campaigns() if not campaign.paused]


def _paused(store: Store) -> list[str]:
    return [campaign.id for campaign in store.campaigns() if campaign.paused]


def _any_campaign(store: Store) -> list[str]:
    return [campaign.id for campaign in store.campaigns()]


def _reply(store: Store, prospect_id: str, _: random.Random) -> Person | None:
    return store.change(prospect_id, REPLIED, datetime.now(UTC).isoformat(timespec="seconds"))


def _unsubscribe(store: Store, prospect_id: str, _: random.Random) -> Person | None:
    return store.unsubscribe(prospect_id)


def _pause(store: Store, campaign_id: str, _: random.Random) -> CampaignState | None:
    return store.set_paused(campaign_id, paused=True)


def _unpause(store: Store, campaign_id: str, _: random.Random) -> CampaignState | None:
    return store.set_paused(campaign_id, paused=False)


def _appear(store: Store, campaign_id: str, dice: random.Random) -> Person:
    name, email = _stranger(dice)
    # In a file that outlives the sandbox, the same dice have been thrown before.
    while store.people_at(email):
        name, email = _stranger(dice)
    return store.add_person(campaign_id, {"First Name": name, "Email": email})


def _stranger(dice: random.Random) -> tuple[str, str]:
    name = dice.choice(NAMES)
    return name, f"{name.lower()}{dice.randrange(1_000_000)}@example.com"


_Deed = tuple["Callable[[Store], list[str]]", "Callable[[Store, str, random.Random], Person | CampaignState | None]"]
_DEEDS: dict[str, _Deed] = {
    "reply": (_subscribed, _reply),
    "unsubscribe": (_subscribed, _unsubscribe),
    "pause": (_running, _pause),
    "unpause": (_paused, _unpause),
    "appear": (_any_campaign, _appear),
}
