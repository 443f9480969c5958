"""All that one running sandbox holds. The API, the page and the Python interface work on it."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox.activity_events import Happenings
from airflow_provider_salesblink.sandbox.activity_scheduler import Clock
from airflow_provider_salesblink.sandbox.faults import FaultBook
from airflow_provider_salesblink.sandbox.limits import Limits, Meter
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.request_log import Journal
from airflow_provider_salesblink.sandbox.shapes import Shapes

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox.store import Store


class State:
    """Store, keys, faults, limits, shapes, life and journal of one sandbox.

    :param key: an administrator's key; a random one by default.
    """

    def __init__(self, store: Store, *, key: str | None, random_seed: int, keep_requests: int) -> None:
        self.store = store
        self.key = _checked(key or secrets.token_urlsafe(24))
        self.member_key = secrets.token_urlsafe(24)
        self.faults = FaultBook(random_seed)
        self.journal = Journal(keep_requests)
        self.meter = Meter(Limits())
        self.shapes = Shapes()
        self.happenings = Happenings(store, random_seed)
        self.clock = Clock(self.happenings.happen)

    def knows(self, key: str) -> bool:
        """Say whether ``key`` is the whole of one of the two keys; ``Bearer <key>`` is not."""
        return self.is_administrator(key) or _same(key, self.member_key)

    def is_administrator(self, key: str) -> bool:
        """Say whether ``key`` may see what is hidden from members."""
        return _same(key, self.key)

    def reset(self) -> None:
        """Go back to an empty store and no faults, limits, shapes, life or journal; the keys stay."""
        # First the clock, or somebody could appear in a campaign that is gone.
        self.clock.keep(())
        self.store.empty()
        self.faults.clear()
        self.happenings.clear()
        self.journal.clear()
        self.meter = Meter(Limits())
        self.shapes = Shapes()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("latin-1", "replace"), other.encode())


def _checked(key: str) -> str:
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        message = "The key must be printable ASCII without blanks around it: it is sent as a header"
        raise SandboxUsageError(message)
    return key
