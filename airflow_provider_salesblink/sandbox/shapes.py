"""How answers look. The classic API's bodies were never documented, so a client must read every one of these."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from airflow_provider_salesblink.sandbox.addresses import is_email
from airflow_provider_salesblink.sandbox.options import known, pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_salesblink.sandbox.store import CampaignState, Person

Json = dict[str, Any] | list[Any]


@dataclass(frozen=True)
class Shapes:
    """The shape of every answer.

    :param envelope: payload under ``data``, bare, or under its name (``campaigns``, ``prospect``, ...).
    :param single: one record as an object, or as a list of one.
    :param id_style: ``campaignID``/``prospectID`` as documented, ``id``, or ``_id``.
    :param columns: a prospect's columns flat on the object, or under its ``data``.
    :param collision: whose value a flat prospect shows where a column has the name of an id or of the state: the API's,
        or the column's.
    :param email_key: what the column with the address is called.
    :param state: how a record tells that it is paused or unsubscribed, if at all.
    :param acknowledgement: a write answers the record, or only that it succeeded.
    :param search: a search finds an address in upper and lower case, or only in the spelling that is stored.
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
            known(getattr(self, name), words, name)

    @classmethod
    def parse(cls, text: str) -> Shapes:
        """Read ``envelope=named,id_style=_id``; what is not named keeps its default."""
        said: dict[str, Any] = dict(pairs(text, choices(), "shape"))
        return cls(**said)

    def campaign(self, campaign: CampaignState) -> dict[str, Any]:
        """One campaign as the API shows it."""
        key = "campaignID" if self.id_style == "documented" else self.id_style
        return {key: campaign.id, "name": campaign.name} | self._campaign_state(paused=campaign.paused)

    def prospect(self, person: Person) -> dict[str, Any]:
        """One prospect as the API shows it."""
        if self.id_style == "documented":
            ids = {"prospectID": person.id, "campaignID": person.campaign_id}
        else:
            ids = {self.id_style: person.id, "campaign_id": person.campaign_id}
        columns = {self.email_key if is_email(key) else key: value for key, value in person.fields.items()}
        own = ids | self._prospect_state(unsubscribed=person.unsubscribed)
        if self.columns == "data":
            return own | {"data": columns}
        return ids | columns | own if self.collision == "api" else own | columns

    def one(self, name: str, record: Mapping[str, Any]) -> Json:
        """Answer one record, called ``name`` where the envelope names things."""
        return self._wrapped(name, [record] if self.single == "list" else dict(record))

    def many(self, name: str, records: Iterable[Mapping[str, Any]]) -> Json:
        """Answer a list of records."""
        return self._wrapped(name, list(records))

    def done(self, name: str, record: Mapping[str, Any]) -> Json:
        """Acknowledge a write that left ``record``."""
        if self.acknowledgement == "record":
            return self.one(name, record)
        return {"success": True, "error": False} if self.envelope == "data" else {"success": True}

    def _wrapped(self, name: str, payload: Json) -> Json:
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
    """Every name of :class:`Shapes`, with the words it takes."""
    return _CHOICES


_HINTS = get_type_hints(Shapes)
_CHOICES = {field.name: get_args(_HINTS[field.name]) for field in fields(Shapes)}
