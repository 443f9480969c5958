"""Generates activity events: changes to people and campaigns without a request, to random ones or to a chosen one."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox import event_store
from airflow_provider_salesblink.sandbox.activity import EVENTS
from airflow_provider_salesblink.sandbox.options import SandboxUsageError, require_known
from airflow_provider_salesblink.sandbox.records import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox.records import CampaignState
    from airflow_provider_salesblink.sandbox.store import Store

REPLIED = "Replied"
NAMES = ("Gita", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona", "Nils")
MOST_KEPT = 10_000


@dataclass(frozen=True)
class Happening:
    """An event that happened.

    :param happening: the event, one of ``EVENTS``.
    :param id: id of the prospect or campaign that changed; of the new prospect for ``appear``.
    :param name: the prospect's address, or the campaign's name.
    :param at: Unix time of the event.
    """

    happening: str
    id: str
    name: str
    at: float


class EventGenerator:
    """Generates events and keeps the latest ones."""

    def __init__(self, store: Store, random_seed: int) -> None:
        self._store = store
        self._random_seed = random_seed
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all events and restart the random sequence."""
        with self._lock:
            self._random = random.Random(self._random_seed)
            self._entries: deque[Happening] = deque(maxlen=MOST_KEPT)

    def entries(self) -> list[Happening]:
        """Return the events kept, oldest first."""
        with self._lock:
            return list(self._entries)

    def generate(self, event: str, to: str | None = None) -> Happening | None:
        """Apply one event to a random prospect or campaign, or to the one with the id ``to``.

        Return the event, or None if there is nothing that it can apply to.

        :raises SandboxUsageError: the event is unknown, or does not apply to ``to``.
        """
        require_known(event, EVENTS, "event")
        candidates, apply = _ACTIONS[event]
        with self._lock:
            ids = candidates(self._store)
            if to is not None and to not in ids:
                message = f"'{event}' does not apply to '{to}'. It means: {EVENTS[event]}"
                raise SandboxUsageError(message)
            if not ids:
                return None
            changed = apply(self._store, to or self._random.choice(ids), self._random)
            return self._record(event, changed) if changed else None

    def _record(self, event: str, changed: Person | CampaignState) -> Happening:
        name = changed.email if isinstance(changed, Person) else changed.name
        self._entries.append(Happening(event, changed.id, name, time.time()))
        return self._entries[-1]


def _subscribed(store: Store) -> list[str]:
    return store.subscribed_ids()


def _running(store: Store) -> list[str]:
    return [campaign.id for campaign in store.campaigns() if not campaign.paused]


def _paused(store: Store) -> list[str]:
    return [campaign.id for campaign in store.campaigns() if campaign.paused]


def _any_campaign(store: Store) -> list[str]:
    return [campaign.id for campaign in store.campaigns()]


def _reply(store: Store, prospect_id: str, generator: random.Random) -> Person | None:
    store.set_column(prospect_id, REPLIED, datetime.now(UTC).isoformat(timespec="seconds"))
    return _answer_to_mail(store, prospect_id, generator)


def _unsubscribe(store: Store, prospect_id: str, _: random.Random) -> Person | None:
    return store.unsubscribe(prospect_id)


def _pause(store: Store, campaign_id: str, _: random.Random) -> CampaignState | None:
    return store.set_paused(campaign_id, paused=True)


def _unpause(store: Store, campaign_id: str, _: random.Random) -> CampaignState | None:
    return store.set_paused(campaign_id, paused=False)


def _appear(store: Store, campaign_id: str, generator: random.Random) -> Person:
    name, email = _random_person(generator)
    # A database file outlives the sandbox, so an earlier run may have added the same people from the same random seed.
    while store.find_people(email):
        name, email = _random_person(generator)
    return store.add_person(campaign_id, {"First Name": name, "Email": email})


def _random_person(generator: random.Random) -> tuple[str, str]:
    name = generator.choice(NAMES)
    return name, f"{name.lower()}{generator.randrange(1_000_000)}@example.com"


def _mail_event(message: str, **extra: Any) -> Callable[[Store, str, random.Random], Person | None]:
    """Return an action that records what happened to the latest mail of a person."""

    def record(store: Store, prospect_id: str, _: random.Random) -> Person | None:
        person = store.person(prospect_id)
        if person:
            sequence_id = next(reversed(store.ledger.sequences_of(prospect_id)), person.campaign_id or None)
            store.events.record(
                message=message, lead_id=person.id, email=person.email, sequence_id=sequence_id, **extra
            )
        return person

    return record


_answer_to_mail = _mail_event(event_store.REPLIED, body="Thank you, that sounds good.")

_Action = tuple["Callable[[Store], list[str]]", "Callable[[Store, str, random.Random], Person | CampaignState | None]"]
_ACTIONS: dict[str, _Action] = {
    "reply": (_subscribed, _reply),
    "unsubscribe": (_subscribed, _unsubscribe),
    "pause": (_running, _pause),
    "unpause": (_paused, _unpause),
    "appear": (_any_campaign, _appear),
    "open": (_subscribed, _mail_event(event_store.OPENED)),
    "click": (_subscribed, _mail_event(event_store.CLICKED, link="https://example.com/offer")),
    "bounce": (_subscribed, _mail_event(event_store.BOUNCED)),
}
