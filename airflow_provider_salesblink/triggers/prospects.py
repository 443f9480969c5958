"""Triggers for prospects."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.argument_types import digits
from airflow_provider_salesblink.triggers.base import SalesBlinkTrigger

if TYPE_CHECKING:
    from airflow_provider_salesblink.waiting.resources import Resource


class ProspectTrigger(SalesBlinkTrigger):
    """Waits until somebody is in a campaign, and is as wished.

    :param campaign_id: the campaign's id.
    :param prospect_id: who, by id; exactly one of it and ``who``.
    :param who: who, by the fingerprint of their address in hexadecimal: Airflow stores a trigger's arguments, and an
        address should not be among them.
    :param where: fields and what they shall be.
    :param unsubscribed: whether they shall have opted out; None where it does not matter.
    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: seconds between two looks at most.
    :param max_consecutive_failures: after so many failed looks in a row it gives up.
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
        """This trigger's own arguments."""
        names = ("campaign_id", "prospect_id", "who", "where", "unsubscribed")
        return {name: getattr(self, name) for name in names}

    def condition(self) -> tuple[Resource, object]:
        """The person, among those of the campaign."""
        from airflow_provider_salesblink.waiting.conditions import ProspectIs
        from airflow_provider_salesblink.waiting.resources import PeopleOf, Somebody

        who = None if self.who is None else bytes.fromhex(self.who)
        return PeopleOf(self.campaign_id), Somebody(
            ProspectIs({} if self.where is None else self.where, self.unsubscribed), self.prospect_id, who
        )


def in_order(value: Any) -> Any:  # noqa: ANN401
    """A test of fields as it is stored: plain dicts and lists, and sets in one order."""
    match value:
        case Mapping():
            return {name: in_order(value[name]) for name in sorted(value, key=str)}
        case Set():
            return sorted(map(in_order, value), key=lambda each: (type(each).__name__, str(each)))
        case tuple() | list():
            return [in_order(each) for each in value]
    return value
