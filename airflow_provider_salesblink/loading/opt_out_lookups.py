"""Look people up in the other campaigns of the account, a little ahead of sending them.

SalesBlink allows more reads than writes a minute, so that inside the limits the look-ups cost no time. They run in
threads of their own, and only so far ahead that what they say is recent when the person is sent.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, Self

from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.errors import ApiRefusedError, InvalidRequestError, SalesBlinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from airflow_provider_salesblink.loading.plan import Step

LONGEST_RELIED_ON = 300.0
"""Seconds after which somebody is looked up again rather than sent."""

ROWS_OWN_FAULT = (ApiRefusedError, InvalidRequestError)
"""Errors of a look-up that concern one person; all others stop the load."""

UNKNOWN = (
    "The person is in another campaign, and SalesBlink does not say whether they opted out; they were not added. "
    'If your own records know that they did not, load with opt_out_scope="campaign".'
)


class TooLongAgoError(SalesBlinkError):
    """Somebody was looked up too long ago. They were not sent, and are looked up again."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Somebody to add.

    :param opted_out: whether they opted out in another campaign; None where SalesBlink does not say.
    :param at: when they were looked up, by the monotonic clock.
    :param failed: why they could not be looked up.
    """

    step: Step
    opted_out: bool | None = False
    at: float = math.inf
    failed: SalesBlinkError | None = None

    def check_age(self) -> None:
        """Check that this can be relied on.

        :raises TooLongAgoError: it cannot.
        """
        if time.monotonic() - self.at > LONGEST_RELIED_ON:
            raise TooLongAgoError("The person was looked up too long ago; nothing was sent.")


class Source(Protocol):
    """The people to add, in portions."""

    is_over: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def ready(self, most: int, sending: Iterable[Future[None]]) -> list[LookedUp]:
        """Return up to ``most`` people; none where one of ``sending`` has come to its end before anybody is ready."""


class NotLookedUp:
    """The people of a load that looks nobody up."""

    def __init__(self, steps: Iterator[Step]) -> None:
        self._steps = steps
        self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def ready(self, most: int, sending: Iterable[Future[None]]) -> list[LookedUp]:  # noqa: ARG002
        """Return the next people."""
        found = [LookedUp(step) for step in islice(self._steps, most)]
        self.is_over = not found
        return found


class LookupAhead:
    """Look people up ahead of sending them.

    :param opted_out: says of an address whether the person opted out; None where it is not known.
    :param at_once: how many are looked up at once; twice as many are looked up ahead.
    """

    def __init__(self, steps: Iterator[Step], opted_out: Callable[[str], bool | None], at_once: int) -> None:
        self._steps = steps
        self._opted_out = opted_out
        self._ahead = 2 * at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="salesblink-look-up")
        self._looking: list[Future[LookedUp]] = []
        self._failed: SalesBlinkError | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ready(self, most: int, sending: Iterable[Future[None]]) -> list[LookedUp]:
        """Return up to ``most`` people; none where one of ``sending`` has come to its end before anybody is ready."""
        self._look_ahead()
        at_work: list[Future[Any]] = [*self._looking, *sending]
        wait(at_work, return_when=FIRST_COMPLETED)
        found = list(islice((each for each in self._looking if each.done()), most))
        self._looking = [each for each in self._looking if each not in found]
        self._look_ahead()
        self.is_over = not (found or self._looking)
        return [each.result() for each in found]

    def _look_ahead(self) -> None:
        # A key that is limited, or a server that is down, is not asked for those who queue.
        if self._failed is None:
            steps = islice(self._steps, self._ahead - len(self._looking))
            self._looking += [self._pool.submit(self._look_up, step) for step in steps]

    def _look_up(self, step: Step) -> LookedUp:
        if self._failed is not None:
            return LookedUp(step, failed=self._failed)
        try:
            opted_out = self._opted_out(step.columns[EMAIL])
        except ROWS_OWN_FAULT as error:
            return LookedUp(step, failed=error)
        except SalesBlinkError as error:
            self._failed = error
            return LookedUp(step, failed=error)
        return LookedUp(step, opted_out, time.monotonic())
