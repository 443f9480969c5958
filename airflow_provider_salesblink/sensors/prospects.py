"""Sensors for prospects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.argument_types import normalize_arguments
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import exactly_one, json_argument
from airflow_provider_salesblink.sensors.base import SalesBlinkSensor
from airflow_provider_salesblink.task_mixins import PersonEmailMixin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_salesblink.triggers.base import SalesBlinkTrigger


class ProspectSensor(PersonEmailMixin, SalesBlinkSensor):  # type: ignore[misc]  # its email is not Airflow's email
    """Wait until a person is in a campaign and their data matches.

    Pass exactly one of ``prospect_id`` and ``email``. The sensor polls the campaign's list of people; deferred sensors
    of the same campaign share that request. XCom: ``outcome`` "found", ``prospect_id``, ``campaign_id`` and
    ``unsubscribed``.

    :param campaign_id: the campaign's id (templated).
    :param prospect_id: the prospect's id (templated).
    :param email: the person's address (templated).
    :param where: field -> the text it must equal, or a test: ``{"in": ["Won", "Lost"]}``, ``{"exists": True}``,
        ``{"gte": 5}`` (numbers compare as numbers, anything else as text, which suits ISO dates). All must match.
        JSON text works too (templated). While the task is deferred, Airflow stores ``where`` as it is, and a
        fingerprint of the address. On the API v1, ``status`` is the person's state in the campaign, for example
        ``{"status": {"in": ["opened", "clicked", "replied"]}}``.
    :param unsubscribed: whether they must have opted out; None accepts both.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param deferrable: wait in the triggerer, without a worker.
    :param max_consecutive_failures: number of polls in a row that may fail with a passing error.
    """

    template_fields: Sequence[str] = ("campaign_id", "prospect_id", "email", "where", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str,
        prospect_id: str | None = None,
        where: Mapping[str, Any] | str | None = None,
        unsubscribed: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(unsubscribed, bool | None):
            raise ValueError(f"unsubscribed is {unsubscribed!r}; it takes True, False or None.")
        self.campaign_id = campaign_id
        self.prospect_id = prospect_id
        self.where = where
        self.unsubscribed = unsubscribed

    def describe_condition(self) -> str:
        """Return the person, the campaign and the names of the fields, in words."""
        from airflow_provider_salesblink.client.redaction import redacted

        who = "the person with that address" if self.prospect_id is None else f"prospect {self.prospect_id!r}"
        asked = self.where if isinstance(self.where, Mapping) else {}
        fields = f", with matching {', '.join(map(repr, asked))}" if asked else ""
        state = {None: "", True: ", unsubscribed", False: ", not unsubscribed"}[self.unsubscribed]
        return redacted(f"{who} in campaign {self.campaign_id!r}{fields}{state}")

    def trigger(self) -> SalesBlinkTrigger:
        """Return the trigger that waits for the same condition."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.client.identity import fingerprint
        from airflow_provider_salesblink.triggers.prospects import ProspectTrigger

        normalize_arguments(self)
        where = self.where = json_argument("where", self.where, dict)
        exactly_one(prospect_id=self.prospect_id, email=self.email, hint=self.missing_email_hint)
        validation.identifier("campaign_id", self.campaign_id)
        if self.prospect_id is not None:
            validation.identifier("prospect_id", self.prospect_id)
        who = None if self.email is None else fingerprint(validation.address("email", self.email)).hex()
        return ProspectTrigger(
            campaign_id=self.campaign_id,
            prospect_id=self.prospect_id,
            who=who,
            where=dict(where) if isinstance(where, Mapping) else where,
            unsubscribed=self.unsubscribed,
            **self.polling_arguments(),
        )
