"""Triggers for prospects."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.argument_types import digits
from airflow_provider_salesblink.triggers.base import SalesBlinkTrigger

if TYPE_CHECKING:
    from airflow_provider_salesblink.waiting.resources import Resource


class ProspectTrigger(SalesBlinkTrigger):
    """Wait until a person is in a campaign and matches.

    :param campaign_id: the campaign's id.
    :param prospect_id: the person's id. Pass exactly one of ``prospect_id`` and ``who``.
    :param who: the fingerprint of the person's address, in hexadecimal. Airflow stores a trigger's arguments, so they
        must not hold an address.
    :param where: the fields and the values or tests that they must match.
    :param unsubscribed: whether they must have opted out; None accepts both.
    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: maximum seconds between two polls.
    :param max_consecutive_failures: number of failed polls in a row before it gives up.
    """

    def __init__(
        self,
        *,
        campaign_id: str,
        prospect_id: str | None = None,
        who: str | None = None,
        where: dict[str, Any] | None = None,
        unsubscribed: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = digits(campaign_id)
        self.prospect_id = digits(prospect_id)
        self.who = who
        self.where = in_order(where)
        self.unsubscribed = unsubscribed

    def arguments(self) -> dict[str, Any]:
        """Return this trigger's own arguments."""
        names = ("campaign_id", "prospect_id", "who", "where", "unsubscribed")
        return {name: getattr(self, name) for name in names}

    def condition(self) -> tuple[Resource, object]:
        """Return the campaign's people, and the condition on this person."""
        from airflow_provider_salesblink.waiting.conditions import ProspectIs
        from airflow_provider_salesblink.waiting.resources import CampaignPeople, PersonCondition

        who = None if self.who is None else bytes.fromhex(self.who)
        return CampaignPeople(self.campaign_id), PersonCondition(
            ProspectIs({} if self.where is None else self.where, self.unsubscribed), self.prospect_id, who
        )


def in_order(value: Any) -> Any:  # noqa: ANN401
    """Return ``where`` as it is stored: plain dicts and lists, and sets as sorted lists."""
    match value:
        case Mapping():
            return {name: in_order(value[name]) for name in sorted(value, key=str)}
        case Set():
            return sorted(map(in_order, value), key=lambda each: (type(each).__name__, str(each)))
        case tuple() | list():
            return [in_order(each) for each in value]
    return value
