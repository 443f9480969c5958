"""The shapes of responses. SalesBlink never documented the classic API's, so a client must understand all of these."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from airflow_provider_salesblink.sandbox.addresses import is_email_column
from airflow_provider_salesblink.sandbox.options import parse_pairs, require_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_salesblink.sandbox.records import CampaignState, Person

Json = dict[str, Any] | list[Any]


@dataclass(frozen=True)
class Shapes:
    """The shapes of all responses.

    :param envelope: the payload under ``data``, bare, or under its name (``campaigns``, ``prospect``, ...).
    :param single: a single record as an object, or as a list of one object.
    :param id_style: ``campaignID``/``prospectID`` as documented, ``id``, or ``_id``.
    :param columns: a prospect's columns directly in the object, or under its ``data``.
    :param collision: which value a flat prospect shows if a column has the name of an id or of the state: the API's
        value, or the column's.
    :param email_key: name of the email column.
    :param state: how a record shows that it is paused or unsubscribed, if at all.
    :param acknowledgement: a write returns the record, or only that it succeeded.
    :param search: a search for an address ignores case, or is exact.
    """

    envelope: Literal["data", "bare", "named"] = "data"
    single: Literal["object", "list"] = "object"
    id_style: Literal["documented", "id", "_id"] = "documented"
    columns: Literal["flat", "data"] = "flat"
    collision: Literal["api", "column"] = "api"
    email_key: Literal["Email", "email"] = "Email"
    state: Literal["paused", "pause", "status", "none"] = "paused"
    acknowledgement: Literal["record", "plain"] = "record"
    search: Literal["folded", "exact"] = "folded"

    def __post_init__(self) -> None:
        for name, words in choices().items():
            require_known(getattr(self, name), words, name)

    @classmethod
    def parse(cls, text: str) -> Shapes:
        """Parse ``envelope=named,id_style=_id``. All other shapes keep their defaults."""
        values: dict[str, Any] = dict(parse_pairs(text, choices(), "shape"))
        return cls(**values)

    def campaign(self, campaign: CampaignState) -> dict[str, Any]:
        """Return a campaign as the API shows it."""
        key = "campaignID" if self.id_style == "documented" else self.id_style
        return {key: campaign.id, "name": campaign.name} | self._campaign_state(paused=campaign.paused)

    def prospect(self, person: Person) -> dict[str, Any]:
        """Return a prospect as the API shows it."""
        if self.id_style == "documented":
            ids = {"prospectID": person.id, "campaignID": person.campaign_id}
        else:
            ids = {self.id_style: person.id, "campaign_id": person.campaign_id}
        columns = {self.email_key if is_email_column(key) else key: value for key, value in person.fields.items()}
        own = ids | self._prospect_state(unsubscribed=person.unsubscribed)
        if self.columns == "data":
            return own | {"data": columns}
        return ids | columns | own if self.collision == "api" else own | columns

    def wrap_record(self, name: str, record: Mapping[str, Any]) -> Json:
        """Return the response with one record. A ``named`` envelope uses ``name``."""
        return self._wrap(name, [record] if self.single == "list" else dict(record))

    def wrap_list(self, name: str, records: Iterable[Mapping[str, Any]]) -> Json:
        """Return the response with a list of records."""
        return self._wrap(name, list(records))

    def acknowledge(self, name: str, record: Mapping[str, Any]) -> Json:
        """Return the response to a write that resulted in ``record``."""
        if self.acknowledgement == "record":
            return self.wrap_record(name, record)
        return {"success": True, "error": False} if self.envelope == "data" else {"success": True}

    def _wrap(self, name: str, payload: Json) -> Json:
        if self.envelope == "bare":
            return payload
        return {name: payload} if self.envelope == "named" else {"success": True, "error": False, "data": payload}

    def _campaign_state(self, *, paused: bool) -> dict[str, Any]:
        if self.state == "none":
            return {}
        if self.state == "status":
            return {"status": "paused" if paused else "running"}
        return {self.state: paused}

    def _prospect_state(self, *, unsubscribed: bool) -> dict[str, Any]:
        if self.state == "none":
            return {}
        if self.state == "status":
            return {"status": "unsubscribed" if unsubscribed else "active"}
        return {"unsubscribed": unsubscribed}


def choices() -> dict[str, tuple[str, ...]]:
    """Return the values that each field of :class:`Shapes` accepts."""
    return _CHOICES


_HINTS = get_type_hints(Shapes)
_CHOICES = {field.name: get_args(_HINTS[field.name]) for field in fields(Shapes)}
