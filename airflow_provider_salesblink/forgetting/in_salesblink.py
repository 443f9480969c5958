"""Forget a person in SalesBlink: opt out first, block next, remove last, so that a crash leaves nobody mailable."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import (
    AuthenticationError,
    NotFoundError,
    RateLimitedError,
    SalesBlinkError,
    UnsupportedByApiError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient

log = logging.getLogger(__name__)


@dataclass
class Problem:
    """A step that failed.

    :param step: "search", "unsubscribe", "block", "remove" or "files".
    """

    step: str
    message: str
    permanent: bool


@dataclass
class InSalesBlink:
    """What became of a person in SalesBlink.

    :param prospect_ids: the ids of the prospects that were found.
    :param campaign_ids: the campaigns that they are in.
    :param opted_out: how many of the prospects are unsubscribed.
    :param blocked: whether the blocklist has the address; None where SalesBlink's answers do not show it.
    :param removed_from: the lists that the person was taken off.
    :param impossible: step -> why the API cannot do it.
    """

    prospect_ids: list[str] = field(default_factory=list)
    campaign_ids: list[str] = field(default_factory=list)
    opted_out: int = 0
    blocked: bool | None = None
    removed_from: list[str] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class SalesBlinkForgetting:
    """Forgets a person in SalesBlink. Each step may be repeated.

    A step that fails does not keep the next one from being tried, except the removal: while it is not certain that the
    person gets no mail, their lead stays, because it may be the only thing that says so.
    """

    def __init__(self, client: SalesBlinkClient, address: str) -> None:
        self._client = client
        self._address = address
        self.result = InSalesBlink()

    def run(self, before_removal: Callable[[], None] = lambda: None) -> InSalesBlink:
        """Unsubscribe, block and remove the person.

        :param before_removal: called when nothing is removed yet: afterward, nothing shows the person's ids any more.
        :raises RateLimitedError: SalesBlink accepts no more calls for now.
        :raises AuthenticationError: the key is wrong.
        """
        found = self._search()
        self._unsubscribe(found)
        self._attempt("block", self._block)
        if any(problem.step in ("unsubscribe", "block") for problem in self.result.problems):
            log.warning("The person is not removed from lists before all mail to them has been stopped.")
        else:
            before_removal()
            self._remove(found)
        return self.result

    def _search(self) -> list[Prospect]:
        everywhere = self._attempt("search", lambda: self._client.prospects.search_everywhere(self._address))
        if everywhere is None:
            return []
        for place, error in everywhere.unread.items():
            self._note("search", f"{place}: {error}", error)
        found: list[Prospect] = everywhere.found
        self.result.prospect_ids = _distinct(each["id"] for each in found)
        self.result.campaign_ids = _distinct(each["campaign_id"] for each in found)
        return found

    def _unsubscribe(self, found: list[Prospect]) -> None:
        done: set[str] = set()
        for prospect in found:
            if prospect["id"] not in done:
                self._attempt("unsubscribe", partial(self._opt_out, prospect, done))
        self.result.opted_out = len(done)

    def _opt_out(self, prospect: Prospect, done: set[str]) -> None:
        """Unsubscribe a prospect, and add the ids of all that this unsubscribed to ``done``."""
        prospects = self._client.prospects
        prospect_id = prospects.checks.id_to_act_on(prospect)
        if prospects.is_done_with(prospect):
            done.add(prospect_id)
            return
        # One that was deleted meanwhile gets no mail.
        with suppress(NotFoundError):
            # On the API v1, one call is for all leads of the person.
            done.update(prospects.unsubscribe(prospect_id)["raw"].get("lead_ids", ()))
        done.add(prospect_id)

    def _block(self) -> None:
        self.result.blocked = self._client.prospects.block(self._address)

    def _remove(self, found: list[Prospect]) -> None:
        done: set[tuple[Any, str | None]] = set()
        for prospect in found:
            key = (prospect["raw"].get("list_id"), prospect["email"])
            if key not in done and "remove" not in self.result.impossible:
                done.add(key)
                removed = self._attempt("remove", partial(self._client.prospects.remove, prospect))
                self.result.removed_from += [removed] if removed else []
        self.result.removed_from = _distinct(self.result.removed_from)

    def _attempt(self, step: str, do: Callable[[], Any]) -> Any:  # noqa: ANN401
        try:
            return do()
        except (RateLimitedError, AuthenticationError):
            # These concern every call.
            raise
        except UnsupportedByApiError as error:
            self.result.impossible[step] = str(error)
        except SalesBlinkError as error:
            self._note(step, str(error), error)
        return None

    def _note(self, step: str, message: str, error: SalesBlinkError) -> None:
        log.error("Step %s failed: %s", step, message)
        self.result.problems.append(Problem(step, message, error.permanent))


def _distinct(found: Any) -> list[str]:  # noqa: ANN401  # an iterable of texts and None
    return list(dict.fromkeys(filter(None, found)))
