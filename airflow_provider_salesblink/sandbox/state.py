"""The state of one running sandbox, shared by the API, the pages and the Python interface."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox.activity_events import EventGenerator
from airflow_provider_salesblink.sandbox.activity_scheduler import ActivityScheduler
from airflow_provider_salesblink.sandbox.blocklist_store import ADMINISTRATOR
from airflow_provider_salesblink.sandbox.contact_imports import ContactImports
from airflow_provider_salesblink.sandbox.faults import ActiveFaults
from airflow_provider_salesblink.sandbox.limits import Limits, RateLimiter
from airflow_provider_salesblink.sandbox.options import SandboxUsageError, require_known
from airflow_provider_salesblink.sandbox.request_log import RequestLog
from airflow_provider_salesblink.sandbox.shapes import Shapes
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.sandbox.blocklist_store import User
    from airflow_provider_salesblink.sandbox.store import Store

APIS = ("classic", "v1")


class State:
    """The store, keys, faults, limits, shapes, rules, activity and request log of one sandbox.

    :param key: the administrator's key; None = a random one.
    :ivar event_pages: number of pages of events that were read since the rules of the v1 API were set.
    """

    def __init__(self, store: Store, *, key: str | None, random_seed: int, keep_requests: int) -> None:
        self.store = store
        self.random_seed = random_seed
        self.key = _check_key(key or secrets.token_urlsafe(24))
        self.member_key = secrets.token_urlsafe(24)
        self.faults = ActiveFaults(random_seed)
        self.request_log = RequestLog(keep_requests)
        self.rate_limiter = RateLimiter(Limits())
        self.shapes = Shapes()
        self.imports = ContactImports(store, store.clock, random_seed)
        self.event_pages = 0
        self.serves: frozenset[str] = frozenset(APIS)
        self.events = EventGenerator(store, random_seed)
        self.scheduler = ActivityScheduler(self.events.generate)

    def knows(self, key: str) -> bool:
        """Return whether ``key`` equals one of the two keys. ``Bearer <key>`` does not."""
        return self.is_administrator(key) or _same(key, self.member_key)

    def is_administrator(self, key: str) -> bool:
        """Return whether ``key`` is the administrator's key."""
        return _same(key, self.key)

    def user_of(self, key: str) -> User:
        """Return the user that a known key belongs to."""
        return ADMINISTRATOR if self.is_administrator(key) else "member"

    def serve(self, apis: Iterable[str]) -> None:
        """Serve only these APIs."""
        self.serves = frozenset(require_known(name, APIS, "API") for name in apis)

    def set_rules(self, rules: V1Rules) -> None:
        """Change how the v1 API behaves, and count its pages from the start."""
        self.store.rules = rules
        self.event_pages = 0

    def reset(self) -> None:
        """Remove all data, faults, limits, shapes, rules, activity and requests. The keys stay."""
        # Stop the schedule first, so that no event adds a person to a campaign that no longer exists.
        self.scheduler.schedule(())
        self.imports.clear()
        self.store.clock.reset()
        self.store.clear()
        self.set_rules(V1Rules())
        self.serve(APIS)
        self.faults.clear()
        self.events.clear()
        self.request_log.clear()
        self.rate_limiter = RateLimiter(Limits())
        self.shapes = Shapes()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("latin-1", "replace"), other.encode())


def _check_key(key: str) -> str:
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        message = "The key must be printable ASCII without surrounding spaces, because it is sent as a header"
        raise SandboxUsageError(message)
    return key
