"""Calls to the store that the users of a key share, which may be unreachable for a while."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_salesblink.client.errors import ConnectionFailedError, SalesBlinkError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

RETRIES, RETRY_PAUSE = 12, 5.0
"""How often a load retries a store that is unreachable before it fails, and the seconds between two tries."""

Answer = TypeVar("Answer")


class NotReservedError(SalesBlinkError):
    """The store no longer holds a person's reservation, or cannot be asked. The person was not sent."""


@dataclass(frozen=True)
class StoreCalls:
    """Makes the calls to a store that may be unreachable for a while.

    :param name: the name of the store in errors.
    :param errors: what it raises when it cannot be used.
    :param is_unreachable: whether such an error means that the store is unreachable for now. Then a call is retried for
        about a minute.
    :param failure: what a load cannot do without it, as the start of a sentence.
    :param danger: what could happen without it.
    """

    name: str
    errors: tuple[type[Exception], ...]
    sleep: Callable[[float], None]
    is_unreachable: Callable[[Exception], bool] = lambda _: False
    failure: str = "People cannot be reserved"
    danger: str = "somebody could be added twice"

    def open(self, open_store: Callable[[], Answer]) -> Answer:
        """Return the opened store.

        :raises ConnectionFailedError: when it cannot be used.
        """
        try:
            return open_store()
        except self.errors as error:
            raise self._unusable(error) from None

    def retry(self, call: Callable[[], Answer]) -> Answer:
        """Return the answer of a call, and retry it while the store is unreachable.

        :raises ConnectionFailedError: when it cannot be used.
        """
        for retries in range(RETRIES):
            try:
                return call()
            except self.errors as error:
                if not self.is_unreachable(error):
                    raise self._unusable(error) from None
                if not retries:
                    log.warning(
                        "%s in %s (%s), so nobody is added until it is reachable; waiting for it for about %.0f s.",
                        self.failure, self.name, type(error).__name__, RETRIES * RETRY_PAUSE,
                    )  # fmt: skip
            self.sleep(RETRY_PAUSE)
        return self.open(call)

    def once(self, call: Callable[[], Answer]) -> Answer:
        """Return the answer of a call right before people are sent. Does not retry.

        :raises NotReservedError: when the store cannot be used.
        """
        try:
            return call()
        except self.errors as error:
            raise self.not_sent(f"{self.name} cannot be used ({type(error).__name__})") from None

    def not_sent(self, why: str) -> NotReservedError:
        """Return the error that says why people were not sent."""
        return NotReservedError(f"{why}; nothing was sent, since {self.danger}.")

    def attempt(self, call: Callable[[], object], otherwise: str) -> None:
        """Make a call that is not needed when the work is done.

        :param otherwise: what happens if it fails, for the log.
        """
        try:
            call()
        except self.errors as error:
            log.info(otherwise, self.name, type(error).__name__)

    def _unusable(self, error: Exception) -> ConnectionFailedError:
        return ConnectionFailedError(
            f"{self.failure} in {self.name} ({type(error).__name__}), and without that {self.danger}. Fix it, or point "
            "pacing_url elsewhere (empty: a file on this machine)."
        )
