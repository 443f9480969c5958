"""Look people up in the other campaigns of the account, a little ahead of sending them.

SalesBlink allows more reads than writes a minute, so the look-ups cost no extra time within the limits. They run in
threads of their own, and only a little ahead, so that each is recent when the person is sent.
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

    from airflow_provider_salesblink.loading.plan_steps import Step

LONGEST_RELIED_ON = 300.0
"""Seconds after which a person is looked up again instead of being sent."""

ROW_ERRORS = (ApiRefusedError, InvalidRequestError)
"""Errors of a look-up that concern one person only. All others stop the load."""

UNKNOWN = (
    "The person is in another campaign, and SalesBlink does not say whether they opted out; they were not added. "
    'If your own records know that they did not, load with opt_out_scope="campaign".'
)


class TooLongAgoError(SalesBlinkError):
    """The person was looked up too long ago. They were not sent, and are looked up again."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A person to add, and what the look-up in other campaigns found.

    :param opted_out: whether they opted out in another campaign; None if SalesBlink does not show it.
    :param at: the monotonic time of the look-up.
    :param error: why they could not be looked up.
    """

    step: Step
    opted_out: bool | None = False
    at: float = math.inf
    error: SalesBlinkError | None = None

    def check_age(self) -> None:
        """Check that the look-up is recent.

        :raises TooLongAgoError: when it is not.
        """
        if time.monotonic() - self.at > LONGEST_RELIED_ON:
            raise TooLongAgoError("The person was looked up too long ago; nothing was sent.")


class Source(Protocol):
    """The people to add, in batches."""

    is_over: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def ready(self, most: int, sending: Iterable[Future[Any]]) -> list[LookedUp]:
        """Return up to ``most`` people; none if one of ``sending`` ends before anybody is ready."""


class StepSource:
    """The people of a plan, taken from it without threads."""

    def __init__(self, steps: Iterator[Step]) -> None:
        self._steps = steps
        self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NoLookup(StepSource):
    """The people of a load that looks nobody up in other campaigns."""

    def ready(self, most: int, sending: Iterable[Future[Any]]) -> list[LookedUp]:  # noqa: ARG002
        """Return the next people of the plan."""
        found = [LookedUp(step) for step in islice(self._steps, most)]
        self.is_over = not found
        return found


class LookupAhead:
    """Looks people up ahead of sending them.

    :param opted_out: returns whether the person with an address opted out; None if that is not known.
    :param at_once: how many people are looked up at once. Twice as many are looked up ahead.
    """

    def __init__(self, steps: Iterator[Step], opted_out: Callable[[str], bool | None], at_once: int) -> None:
        self._steps = steps
        self._opted_out = opted_out
        self._ahead = 2 * at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="salesblink-look-up")
        self._looking: list[Future[LookedUp]] = []
        self._error: SalesBlinkError | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ready(self, most: int, sending: Iterable[Future[Any]]) -> list[LookedUp]:
        """Return up to ``most`` people; none if one of ``sending`` ends before anybody is ready."""
        self._look_ahead()
        running: list[Future[Any]] = [*self._looking, *sending]
        wait(running, return_when=FIRST_COMPLETED)
        found = list(islice((each for each in self._looking if each.done()), most))
        self._looking = [each for each in self._looking if each not in found]
        self._look_ahead()
        self.is_over = not (found or self._looking)
        return [each.result() for each in found]

    def _look_ahead(self) -> None:
        # Once a look-up hits a rate limit or a server that is down, the queued ones are not sent.
        if self._error is None:
            steps = islice(self._steps, self._ahead - len(self._looking))
            self._looking += [self._pool.submit(self._look_up, step) for step in steps]

    def _look_up(self, step: Step) -> LookedUp:
        if self._error is not None:
            return LookedUp(step, error=self._error)
        found = look_up(step, self._opted_out)
        if found.error is not None and not isinstance(found.error, ROW_ERRORS):
            self._error = found.error
        return found


def look_up(step: Step, opted_out: Callable[[str], bool | None]) -> LookedUp:
    """Return what a look-up of one person found, or why there is no answer."""
    try:
        return LookedUp(step, opted_out(step.columns[EMAIL]), time.monotonic())
    except SalesBlinkError as error:
        return LookedUp(step, error=error)
