"""One person into a campaign: looked up everywhere, reserved, and only then added."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import uuid4

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.columns import EMAIL, differing
from airflow_provider_salesblink.client.errors import (
    AmbiguousWriteError,
    ConnectionFailedError,
    InvalidInputError,
    NotFoundError,
    SalesBlinkError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.client.rate_limit import check_before_write
from airflow_provider_salesblink.client.records import of_person
from airflow_provider_salesblink.loading.column_conflicts import ColumnConflicts
from airflow_provider_salesblink.loading.other_loads import wait_for_others
from airflow_provider_salesblink.loading.reservations import reservations, wait_for_earlier_run
from airflow_provider_salesblink.loading.rows import ColumnNames, Reject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_salesblink.choices import OnExisting, OptOutUnknown
    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient
    from airflow_provider_salesblink.loading.reservations import PatientReservations

log = logging.getLogger(__name__)

AddOutcome = Literal["added", "skipped", "updated", "unchanged", "opted_out"]

LOOKS = 5
"""How often to look for somebody that another task was adding."""
LONGEST_WAIT = 10.0
"""Seconds to wait for another task that is adding the person, before leaving it for later."""


def add_person(
    client: SalesBlinkClient,
    campaign_id: str,
    data: object,
    *,
    on_existing: OnExisting = "skip",
    opt_out_unknown: OptOutUnknown = "fail",
    owner: str | None = None,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251
) -> tuple[AddOutcome, Prospect]:
    """Add one person to a campaign unless they are there or opted out; what was done, and the person's record.

    :param data: the person's columns, read as a load reads a row.
    :param opt_out_unknown: what to do with somebody who is in SalesBlink already, but of whom it does not say whether
        they opted out: ``fail``, or ``add`` them.
    :param owner: a name for this task that a retry of it has too.
    :raises InvalidInputError: ``data`` is no person, or whether they opted out is not known.
    :raises HeldByOthersError: another task is adding the person, and takes its time.
    :raises SalesBlinkError: SalesBlink cannot be reached, or refuses.
    """
    campaign_id = validation.identifier("campaign_id", campaign_id)
    if client.prospects.adds_refused:
        raise InvalidInputError(client.prospects.adds_refused)
    columns, unclear = _columns(data), ColumnConflicts(client, campaign_id)
    unclear.refuse_reserved(columns)
    reserved = reservations(client.shared, campaign_id, owner or uuid4().hex, settling_time=client.timeout, sleep=sleep)
    if owner and not client.dry_run:
        wait_for_earlier_run(reserved, client.timeout, sleep)
    looked_at = time.monotonic()
    everywhere, here = _looked_up(client, campaign_id, columns[EMAIL], unclear)
    opted_out = next((found for found in [*here, *everywhere] if found["unsubscribed"]), None)
    if opted_out is not None:
        return "opted_out", opted_out
    if here and on_existing == "skip":
        return "skipped", here[0]
    if here and on_existing == "update":
        wanted = {name: value for name, value in columns.items() if name != EMAIL and value != ""}
        sent, dry_run = set_differing(client, here, validation.changes(wanted) if wanted else {}, unclear)
        record = cast("Prospect", {**here[0], "dry_run": True}) if dry_run else here[0]
        return ("updated" if sent else "unchanged"), record
    if opt_out_unknown == "fail" and any(found["unsubscribed"] is None for found in [*here, *everywhere]):
        raise InvalidInputError(
            "The person is in SalesBlink already, and it does not say whether they opted out; nothing was sent. "
            "Say opt_out_unknown='add' if your own records know that they did not."
        )
    unclear.refuse(columns)
    if on_existing == "add":
        return "added", client.prospects.add(campaign_id, columns, ignore_ids=[found["id"] for found in here])
    if client.dry_run:
        return "added", client.prospects.add(campaign_id, columns)
    return _added_alone(client, campaign_id, columns, reserved, looked_at, sleep)


def _columns(data: object) -> dict[str, str]:
    names = ColumnNames()
    row = names.of_row(1, validation.new_prospect(data))
    names.opt_outs.warn()
    if isinstance(row, Reject):
        raise InvalidInputError(f"data is no person. {row.reason}")
    return row.columns


def _added_alone(
    client: SalesBlinkClient,
    campaign_id: str,
    columns: dict[str, Any],
    reserved: PatientReservations,
    looked_at: float,
    sleep: Callable[[float], None],
) -> tuple[AddOutcome, Prospect]:
    """Add somebody who was not there at ``looked_at``, unless another task is about to."""
    who, idle, longest_wait = fingerprint(columns[EMAIL]), None, LONGEST_WAIT
    for _ in range(LOOKS):
        is_own = who in reserved.take([who])
        # Somebody who has done with a person who is not there is in nobody's way: they were taken out again since.
        took_over = not is_own and idle is not None and reserved.take_over(who, idle)
        if is_own or took_over:
            try:
                # Whom others had reserved before the store forgot it, only the campaign tells; as whom the owner that
                # was idle has added meanwhile.
                look_again = took_over or reserved.known_since() > looked_at
                here = _in_campaign(client, campaign_id, columns[EMAIL]) if look_again else []
                if not here:
                    # It may have to wait for the budget for minutes.
                    with check_before_write(partial(reserved.confirm, who)):
                        added = client.prospects.add(campaign_id, columns)
            except AmbiguousWriteError:
                raise
            except SalesBlinkError:
                reserved.release([who])
                reserved.finish()
                raise
            reserved.finish()
            return ("skipped", here[0]) if here else ("added", added)
        # Asked before looking: who becomes idle only after the look may have added the person meanwhile.
        idle_owners, waited = wait_for_others(reserved, [who], longest_wait=longest_wait, sleep=sleep)
        idle, longest_wait = idle_owners.get(who), longest_wait - waited
        looked_at = time.monotonic()
        here = _in_campaign(client, campaign_id, columns[EMAIL])
        if here:
            return "skipped", here[0]
    raise ConnectionFailedError(
        "Another task is adding the same person and has not come to its end; nothing was sent. Try again later."
    )


def _looked_up(
    client: SalesBlinkClient, campaign_id: str, address: str, unclear: ColumnConflicts
) -> tuple[list[Prospect], list[Prospect]]:
    """The prospects with ``address``: those the search knows, and those in the campaign.

    The campaign is listed even after a search without a hit: nothing documents that the search finds everybody.
    """
    try:
        everywhere = list(unclear.learn(client.prospects.search(address)))
    except NotFoundError:
        everywhere = []
    here = [found for found in everywhere if found["campaign_id"] == campaign_id]
    # A column of the person's own may only look like the campaign's id.
    if here and not any(map(client.prospects.checks.campaign_is_unclear, here)):
        return everywhere, here
    return everywhere, of_person(unclear.learn(client.prospects.each(campaign_id)), address)


def _in_campaign(client: SalesBlinkClient, campaign_id: str, address: str) -> list[Prospect]:
    return of_person(client.prospects.each(campaign_id), address)


def set_differing(
    client: SalesBlinkClient, prospects: list[Prospect], wanted: Mapping[str, str], unclear: ColumnConflicts
) -> tuple[list[str], bool]:
    """Set the fields that differ; the names of those that did, and whether the client runs dry.

    :raises InvalidInputError: an id may be another person's, or a field's name SalesBlink's own; nothing was set.
    """
    differ = [(found, fields) for found in prospects if (fields := differing(found["fields"], wanted))]
    for _, fields in differ:
        unclear.refuse(fields)
    changes = [(client.prospects.checks.id_to_act_on(found), fields) for found, fields in differ]
    sent: dict[str, None] = {}
    dry_run = False
    for prospect_id, fields in changes:
        dry_run = client.prospects.update(prospect_id, fields).get("dry_run", False)
        sent.update(dict.fromkeys(fields))
    return list(sent), dry_run


def id_of(prospect: Prospect) -> str:
    """The id that SalesBlink shows for a prospect.

    :raises UnreadableResponseError: it shows none.
    """
    if prospect["id"] is None:
        raise UnreadableResponseError("SalesBlink found the prospect but did not tell its id, so nothing can be done.")
    return prospect["id"]
