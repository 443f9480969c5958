"""The check, before a campaign starts, that the mailboxes it sends from can send. API v1 only."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_salesblink.client import SalesBlinkClient

log = logging.getLogger(__name__)

_SHOWN = 5


def require_senders(client: SalesBlinkClient) -> None:
    """Raise if the client's API has no senders. Call it before anything is sent.

    :raises UnsupportedByApiError: the connection uses the classic API.
    """
    _ = client.senders.health


def check_senders(client: SalesBlinkClient, sequence_id: str) -> None:
    """Check that all senders of a sequence are connected and may send, unless the sequence runs already.

    Where SalesBlink does not show which mailboxes the sequence sends from, all of the workspace are checked.

    :raises AirflowFailException: a sender cannot send, or SalesBlink does not show whether it can.
    """
    sequence = client.sequences.get(sequence_id)
    if sequence.get("paused") is False:
        log.info("The campaign runs already, so its senders are not checked.")
        return
    ids, belong_to = _senders_of(client, sequence)
    problems = [problem for each in ids for problem in _problems(each, client.senders.health(each))]
    if problems:
        more = f" And {len(problems) - _SHOWN} more." if len(problems) > _SHOWN else ""
        _fail(
            f"{' '.join(problems[:_SHOWN])}{more} These are senders of {belong_to}. Reconnect or enable them in "
            "SalesBlink, or take them out of the campaign."
        )
    log.info("All senders of %s are connected and may send: %d.", belong_to, len(ids))


def _senders_of(client: SalesBlinkClient, sequence: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the ids of the senders to check, and what they belong to."""
    mailboxes = [str(each["id"]) if each.get("id") else None for each in client.senders.list()]
    wanted = list(dict.fromkeys(_ids_in(sequence)))
    if wanted and None not in wanted and set(wanted) <= set(mailboxes):
        return [each for each in wanted if each], "the campaign"
    # There are no ids, or one is that of a folder of senders, and nothing documents how to read a folder.
    if not mailboxes or None in mailboxes:
        _fail("SalesBlink does not show which senders the campaign has, nor all senders of the workspace.")
    return [each for each in mailboxes if each], (
        "the workspace (SalesBlink does not show which of them the campaign has, so all were checked)"
    )


def _ids_in(sequence: Mapping[str, Any]) -> Iterator[str | None]:
    """Yield the ids of the senders that a sequence shows; None for one without an id."""
    joined, objects = sequence.get("senders"), sequence.get("emailSenders")
    if isinstance(joined, str):
        yield from filter(None, map(str.strip, joined.split(",")))
    for each in objects if isinstance(objects, list) else ():
        found = each.get("id") if isinstance(each, dict) else None
        yield str(found) if found else None


def _problems(sender_id: str, health: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a sender may not be able to send, as sentences."""
    from airflow_provider_salesblink.loading.planned_load import masked

    address = health.get("email")
    shown = f" ({masked(address)})" if isinstance(address, str) and "@" in address else ""
    who = f"Sender {sender_id}{shown}"
    for name, wrong in (("connected", "is not connected"), ("sending_enabled", "may not send: sending is disabled")):
        if health.get(name) is False:
            yield f"{who} {wrong}."
        elif health.get(name) is not True:
            yield f"{who}: SalesBlink does not show whether it can send (there is no valid {name!r})."
    if health.get("error"):
        yield f"{who} has an error in SalesBlink."
    if health.get("receiving_enabled") is False:
        log.warning("%s does not receive mail, so SalesBlink may miss answers to it.", who)


def _fail(sentence: str) -> NoReturn:
    from airflow_provider_salesblink.client.redaction import redacted

    raise AirflowFailException(redacted(f"{sentence} Nothing was sent, and the campaign was not started."))
