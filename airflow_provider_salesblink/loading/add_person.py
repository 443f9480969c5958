"""Add one person to a campaign: look them up everywhere, reserve them, and only then add them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, cast
from uuid import uuid4

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.columns import EMAIL, differing
from airflow_provider_salesblink.client.errors import (
    AmbiguousWriteError,
    ConnectionFailedError,
    InvalidInputError,
    SalesBlinkError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.client.rate_limit import check_before_write
from airflow_provider_salesblink.loading.destination import ANY_LIST, ListChoice
from airflow_provider_salesblink.loading.other_loads import HeldByOthersError, wait_for_others
from airflow_provider_salesblink.loading.reservations_retry import open_reservations, wait_for_earlier_run
from airflow_provider_salesblink.loading.reserved_columns import ReservedColumns
from airflow_provider_salesblink.loading.rows import ColumnNames, Reject
from airflow_provider_salesblink.metrics import ADDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from airflow_provider_salesblink.choices import OnExisting, OptOutUnknown
    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient
    from airflow_provider_salesblink.client.records import LookUp
    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations

AddOutcome = Literal["added", "skipped", "updated", "unchanged", "opted_out"]

ATTEMPTS = 5
"""How often to try to reserve a person that another task is adding."""
LONGEST_WAIT = 10.0
"""Seconds to wait for another task that is adding the person, before the task is deferred."""
LONGEST_SLEEP = 60.0
"""Seconds to wait for a request of an earlier try; if it takes longer, the task is deferred."""


def add_person(
    client: SalesBlinkClient,
    campaign_id: str,
    data: object,
    *,
    on_existing: OnExisting = "skip",
    opt_out_unknown: OptOutUnknown = "fail",
    list_choice: ListChoice = ANY_LIST,
    owner: str | None = None,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251
) -> tuple[AddOutcome, Prospect]:
    """Add one person to a campaign unless they are there or opted out; return what was done, and the person's record.

    :param data: the person's columns, read as a load reads a row.
    :param on_existing: what to do if the person is in the campaign: ``skip``, ``update`` or ``add`` them once more.
    :param opt_out_unknown: what to do with a person who is in SalesBlink already, if SalesBlink does not show whether
        they opted out: ``fail``, or ``add`` them.
    :param list_choice: the list to add the person to.
    :param owner: a name for this task that a retry of it has too.
    :raises InvalidInputError: when ``data`` is not a person, or it is not known whether they opted out.
    :raises HeldByOthersError: when another task has been adding the person for too long.
    :raises SalesBlinkError: when SalesBlink cannot be reached, or refuses.
    """
    campaign_id = validation.identifier("campaign_id", campaign_id)
    if client.prospects.adds_refused:
        raise InvalidInputError(client.prospects.adds_refused)
    columns, conflicts = _columns(data), ReservedColumns(client, campaign_id)
    conflicts.refuse_reserved(columns)
    reservations = open_reservations(
        client.shared,
        client.prospects.reservation_scope(campaign_id),
        owner or uuid4().hex,
        settling_time=client.settling_time,
        sleep=sleep,
    )
    person = _Person(client, campaign_id, conflicts, list_choice, columns)
    if owner and not client.dry_run:
        _wait_for_earlier_run(person, reservations, sleep)
    looked_at = time.monotonic()
    found = person.look_up()
    existing = person.keep_existing(found, on_existing)
    if existing is not None:
        return existing
    if opt_out_unknown == "fail":
        _check_opt_out_known(found)
    conflicts.refuse(columns)
    if on_existing == "add":
        return "added", person.add(ignore_ids=[each["id"] for each in found.in_campaign])
    if client.dry_run:
        return "added", person.add()
    return _Adder(person, reservations, sleep).add(looked_at)


def _wait_for_earlier_run(person: _Person, reservations: RetryingReservations, sleep: Callable[[float], None]) -> None:
    """Wait until a request of an earlier try, which was killed, can no longer take effect.

    :raises HeldByOthersError: when that takes long, as where SalesBlink imports people later: the task is deferred.
    """
    rest = person.client.settling_time - reservations.idle_for()
    if rest > LONGEST_SLEEP:
        if not reservations.held([fingerprint(person.address)]) or person.list_in_campaign():
            return
        raise HeldByOthersError(
            "An earlier try of this task sent the person, and SalesBlink may still import them.",
            status=None,
            retry_after=min(rest, LONGEST_SLEEP),
        )
    wait_for_earlier_run(reservations, person.client.settling_time, sleep)


@dataclass(frozen=True)
class _Person:
    """A person to add, and the campaign to add them to."""

    client: SalesBlinkClient
    campaign_id: str
    conflicts: ReservedColumns
    list_choice: ListChoice
    columns: dict[str, str] = field(repr=False)

    @property
    def address(self) -> str:
        return self.columns[EMAIL]

    def look_up(self) -> LookUp:
        """Find the person in the account and in the campaign."""
        return self.client.prospects.look_up(
            self.campaign_id, self.address, self.conflicts.learn, self.list_choice.list_id
        )

    def list_in_campaign(self) -> list[Prospect]:
        return self.client.prospects.in_campaign(self.campaign_id, self.address, self.list_choice.list_id)

    def add(self, ignore_ids: Collection[str | None] = ()) -> Prospect:
        added = self.client.prospects.add(
            self.campaign_id,
            self.columns,
            **self.list_choice.as_arguments(),
            ignore_ids=ignore_ids,
        )
        if not self.client.dry_run:
            self.client.observer.count(ADDS)
        return added

    def keep_existing(self, found: LookUp, on_existing: OnExisting) -> tuple[AddOutcome, Prospect] | None:
        """Handle a person who opted out or is in the campaign; return None if they are to be added."""
        if found.opted_out:
            return "opted_out", _opted_out(found, self.address)
        if not found.in_campaign or on_existing == "add":
            return None
        if on_existing == "skip":
            return "skipped", found.in_campaign[0]
        return self._update(found.in_campaign)

    def _update(self, prospects: list[Prospect]) -> tuple[AddOutcome, Prospect]:
        wanted = {name: value for name, value in self.columns.items() if name != EMAIL and value != ""}
        fields = validation.changes(wanted) if wanted else {}
        sent, dry_run = set_differing(self.client, prospects, fields, self.conflicts)
        record = cast("Prospect", {**prospects[0], "dry_run": True}) if dry_run else prospects[0]
        return ("updated" if sent else "unchanged"), record


def _columns(data: object) -> dict[str, str]:
    names = ColumnNames()
    row = names.of_row(1, validation.new_prospect(data))
    names.opt_outs.warn()
    if isinstance(row, Reject):
        raise InvalidInputError(f"data is not a person. {row.reason}")
    return row.columns


def _opted_out(found: LookUp, address: str) -> Prospect:
    """Return the record that shows the opt-out. A blocked address need not be a prospect."""
    for each in (*found.in_campaign, *found.everywhere):
        if each["unsubscribed"]:
            return each
    return {"id": None, "email": address, "campaign_id": None, "unsubscribed": True, "fields": {}, "raw": {}}


def _check_opt_out_known(found: LookUp) -> None:
    if found.opted_out is None:
        what = "The person is in SalesBlink already, and it" if found.everywhere or found.in_campaign else "SalesBlink"
        raise InvalidInputError(
            f"{what} does not say whether they opted out; nothing was sent. "
            "Pass opt_out_unknown='add' if your own records show that they did not."
        )


class _Adder:
    """Adds a person who was not in the campaign, unless another task adds them."""

    def __init__(self, person: _Person, reservations: RetryingReservations, sleep: Callable[[float], None]) -> None:
        self._person = person
        self._reservations = reservations
        self._sleep = sleep
        self._who = fingerprint(person.address)

    def add(self, looked_at: float) -> tuple[AddOutcome, Prospect]:
        """Add the person.

        :param looked_at: the monotonic time of the look-up that did not find them in the campaign.
        """
        idle_owner, longest_wait = None, LONGEST_WAIT
        for _ in range(ATTEMPTS):
            is_own = self._who in self._reservations.acquire([self._who])
            # The owner has finished and the person is not in the campaign: take over the reservation.
            took_over = not is_own and idle_owner is not None and self._reservations.take_over(self._who, idle_owner)
            if is_own or took_over:
                return self._add_reserved(is_stale=took_over or self._reservations.complete_since() > looked_at)
            # The wait ends before the campaign is listed: an owner that becomes idle later may have added the person.
            idle_owners, waited = wait_for_others(
                self._reservations, [self._who], longest_wait=longest_wait, sleep=self._sleep
            )
            idle_owner, longest_wait = idle_owners.get(self._who), longest_wait - waited
            looked_at = time.monotonic()
            in_campaign = self._person.list_in_campaign()
            if in_campaign:
                return "skipped", in_campaign[0]
        raise ConnectionFailedError(
            "Another task is adding the same person and has not finished; nothing was sent. Try again later."
        )

    def _add_reserved(self, *, is_stale: bool) -> tuple[AddOutcome, Prospect]:
        """Add the reserved person.

        :param is_stale: whether to look them up again. Only the campaign shows people whose reservations the store
            lost, or people that an idle owner added meanwhile.
        """
        try:
            in_campaign = self._person.list_in_campaign() if is_stale else []
            added = None if in_campaign else self._send()
        except AmbiguousWriteError:
            raise
        except SalesBlinkError:
            self._reservations.release([self._who])
            self._reservations.finish()
            raise
        self._reservations.finish()
        return ("added", added) if added is not None else ("skipped", in_campaign[0])

    def _send(self) -> Prospect:
        person = self._person
        # The call may wait for the rate limit for minutes, so the check runs right before the request.
        with check_before_write(partial(self._reservations.confirm, [self._who])):
            return person.add()


def set_differing(
    client: SalesBlinkClient, prospects: list[Prospect], wanted: Mapping[str, str], conflicts: ReservedColumns
) -> tuple[list[str], bool]:
    """Set the fields that differ; return their names, and whether the client runs dry.

    :raises InvalidInputError: when an id may be another person's, or a field has a name that SalesBlink uses. Nothing
        was set.
    """
    # On the API v1, a lead whose list several campaigns use is in the answer once for each of them.
    once = {each["id"] or object(): each for each in prospects}.values()
    differ = [(found, fields) for found in once if (fields := differing(found["fields"], wanted))]
    for _, fields in differ:
        conflicts.refuse(fields)
    changes = [(client.prospects.checks.id_to_act_on(found), fields) for found, fields in differ]
    sent: dict[str, None] = {}
    dry_run = False
    for prospect_id, fields in changes:
        dry_run = client.prospects.update(prospect_id, fields).get("dry_run", False)
        sent.update(dict.fromkeys(fields))
    return list(sent), dry_run


def id_of(prospect: Prospect) -> str:
    """Return the id that SalesBlink shows for a prospect.

    :raises UnreadableResponseError: when it shows none.
    """
    if prospect["id"] is None:
        raise UnreadableResponseError("SalesBlink found the prospect but did not show its id, so nothing can be done.")
    return prospect["id"]
