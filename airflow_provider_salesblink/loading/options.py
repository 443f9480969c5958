"""How a load runs: what counts as an opt-out, what makes the load fail, and how long it waits."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_salesblink.choices import OptOuts, OptOutScope
from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.destination import ANY_LIST, ListAlone, ListChoice
from airflow_provider_salesblink.loading.reservations import LONGEST_UNSENT
from airflow_provider_salesblink.loading.sending_window import parse_window

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.sending_window import SendingWindow
    from airflow_provider_salesblink.loading.suppressions import OpenablePath

_DIGITS = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class OptOutRules:
    """How a load finds people who opted out, and what it does with them. It never adds or updates any of them.

    :param columns: names of the rows' columns that say who opted out. They are read, and not sent. Sources with other
        column names take them too: :class:`ColumnNames`.
    :param suppression_path: a file of people who must not be mailed, whatever the rows say; see :class:`Suppressions`.
    :param in_campaign: what to do with people in the campaign who opted out according to a row or that file:
        ``unsubscribe`` them (in all modes but ``insert``), or ``skip`` them.
    :param scope: ``account`` looks up each person before adding them, and adds nobody who opted out in any campaign
        that the key sees. If SalesBlink does not show it for a person, the person's row is rejected. ``campaign``
        checks this campaign only. A dry run looks nobody up.
    :raises InvalidInputError: when ``scope`` is neither of the two.
    """

    columns: Iterable[str] = ()
    suppression_path: str | os.PathLike[str] | OpenablePath | None = None
    in_campaign: OptOuts = "unsubscribe"
    scope: OptOutScope = "account"

    def __post_init__(self) -> None:
        if self.scope not in get_args(OptOutScope):
            raise InvalidInputError("opt_out_scope is neither 'account' nor 'campaign'.")


@dataclass(frozen=True)
class RunOptions:
    """How one run of a load uses the client, waits, and continues an earlier run.

    :param max_in_flight: how many calls at most are sent at once.
    :param owner: a name for this load that stays the same when it is started again; a random one by default.
    :param list_choice: the list of the campaign to add people to; or, that the load is into a list alone, whose id is
        then in place of the campaign's.
    :param longest_wait: the most seconds that a call waits for the shared rate limit, and that the load waits for
        people that another load holds.
    :param settling_time: seconds for which requests of a killed run, or of another load whose reservations were lost,
        may still take effect. By default, what the client says (``settling_time``).
    :param done_before: what ``report.done()`` of an earlier part of the same load returned; it is counted in.
    :param earlier_outcomes: the records that this earlier part left of its rows' outcomes (the lines of its file).
    :param daily_new_people: how many new people may be added in a day, by all loads of the key that set it together; a
        number, or its digits as text. None sets no limit.
    :param sending_window: the hours in which people may be added, as :func:`parse_window` reads them; None for always.
    :param sleep: how to wait.
    :param now: returns the time in Unix seconds, which decides what day it is; None for the machine's clock.
    :raises InvalidInputError: when a number is out of bounds, or a text describes no window.
    """

    max_in_flight: int = 8
    owner: str | None = None
    list_choice: ListChoice | ListAlone = ANY_LIST
    longest_wait: float = math.inf
    settling_time: float | None = None
    done_before: Mapping[str, Any] = field(default_factory=dict)
    earlier_outcomes: Iterable[Mapping[str, Any]] = ()
    daily_new_people: int | str | None = None
    sending_window: str | None = None
    sleep: Callable[[float], None] = time.sleep  # noqa: TID251
    now: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "done_before", self.done_before or {})
        validation.whole_number("max_in_flight", self.max_in_flight, 1)
        validation.number("longest_wait", self.longest_wait, 0, math.inf)
        _ = self.new_people_a_day, self.window  # both check what they read

    @property
    def new_people_a_day(self) -> int | None:
        """Return how many new people may be added in a day; None for no limit."""
        given = self.daily_new_people
        if given is None:
            return None
        if isinstance(given, str):
            given = int(given) if _DIGITS.fullmatch(given.strip()) else given
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise InvalidInputError(
                "daily_new_people is not a whole number of at least 1, such as 20. Leave it out for no limit."
            )
        return given

    @property
    def window(self) -> SendingWindow | None:
        """Return the hours in which people may be added; None for always."""
        return None if self.sending_window is None else parse_window(self.sending_window)

    def settling_time_of(self, client: SalesBlinkClient) -> float:
        """Return the seconds for which a sent request may still take effect."""
        return client.settling_time if self.settling_time is None else self.settling_time


@dataclass(frozen=True)
class SendLimits:
    """The limits in which people are sent.

    :param max_in_flight: how many calls at most are sent at once.
    :param longest_wait: the most seconds to wait for people that another load holds.
    :param looks_up: whether to look people up in the other campaigns of the account before adding them.
    :param writes_per_minute: how many writes are allowed; 0 for no limit. Likewise reads.
    :param batch_size: the most people that one call adds.
    :param settling_time: seconds after the answer in which people who were only accepted may still be added; 0 where
        an answer means that the person was added.
    :param sleep: how to wait.
    """

    max_in_flight: int
    longest_wait: float
    looks_up: bool
    batch_size: int
    settling_time: float
    writes_per_minute: int
    reads_per_minute: int
    sleep: Callable[[float], None]

    @classmethod
    def of(cls, client: SalesBlinkClient, destination: Destination, run: RunOptions, *, looks_up: bool) -> SendLimits:
        """Return the limits for a run with a client."""
        return cls(
            # More calls would only wait for the rate limit, maybe until their reservations have expired.
            max_in_flight=min(run.max_in_flight, client.writes_per_minute or run.max_in_flight),
            longest_wait=run.longest_wait,
            looks_up=looks_up,
            batch_size=destination.batch_size,
            settling_time=run.settling_time_of(client) if destination.settling_time else 0.0,
            writes_per_minute=client.writes_per_minute,
            reads_per_minute=client.reads_per_minute,
            sleep=run.sleep,
        )

    @property
    def waits_for_rate_limit(self) -> bool:
        """Whether a call that waited too long for the rate limit is made again, instead of ending the load for now."""
        return self.longest_wait > LONGEST_UNSENT
