"""Mails of a campaign in the sandbox's feeds, and what came of them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox

MINUTE = 60 * 1000
HOUR = 60 * MINUTE


def now_ms() -> int:
    return int(time.time() * 1000)


def mails(
    sandbox: Sandbox,
    campaign_id: str,
    count: int,
    *,
    at: int = -HOUR,
    prefix: str = "p",
    bounced: int = 0,
    unsubscribed: int = 0,
    replied: int = 0,
) -> None:
    """Add mails that were sent ``at`` milliseconds from now; the first people bounce, unsubscribe and reply."""
    for message, many in [("Sent", count), ("Bounced", bounced), ("Unsubscribed", unsubscribed), ("Replied", replied)]:
        for number in range(many):
            event(sandbox, campaign_id, message, f"{prefix}{number}", at=at)


def event(sandbox: Sandbox, campaign_id: str, message: str, name: str, *, at: int = -HOUR, **more: Any) -> None:
    """Add one event of a person."""
    usual = {"email": f"{name}@example.com", "time_ms": now_ms() + at}
    sandbox.add_event(message, sequence_id=campaign_id, **{**usual, **more})


class Mailing:
    """A campaign that mails until it is paused. From the start of the ``with`` block, 8 of 100 mails bounce."""

    def __init__(self, sandbox: Sandbox, campaign_id: str, *, per_second: float) -> None:
        self._sandbox = sandbox
        self._campaign_id = campaign_id
        self._pause = 1 / per_second
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent_at: list[int] = []

    def __enter__(self) -> Mailing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def is_paused(self) -> bool:
        """Return whether the campaign is paused in SalesBlink."""
        return next(each.paused for each in self._sandbox.campaigns() if each.id == self._campaign_id)

    def _run(self) -> None:
        while not self._stopped.wait(self._pause) and not self.is_paused():
            number = len(self.sent_at)
            event(self._sandbox, self._campaign_id, "Sent", f"m{number}", at=0)
            if number % 25 in (0, 12):
                event(self._sandbox, self._campaign_id, "Bounced", f"m{number}", at=0)
            self.sent_at.append(now_ms())
