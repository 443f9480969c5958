"""Turn leads into the records of prospects that both APIs have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.v1.column_names import ColumnValues, ColumnValuesWithStatus, email_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.v1.decoding import Json


def prospect(lead: Json, campaign_id: str | None, *, unsubscribed: bool | None = None) -> Prospect:
    """Return the record of a lead."""
    lead_id = lead.get("id")
    return {
        "id": str(lead_id) if lead_id else None,
        "email": email_of(lead),
        "campaign_id": campaign_id,
        "unsubscribed": unsubscribed,
        "fields": ColumnValues.of_lead(lead),
        "raw": lead,
    }


def prospect_with_status(lead: Json, campaign_id: str, status: str | None, *, unsubscribed: bool | None) -> Prospect:
    """Return the record of a person in a campaign.

    :param status: their state in the campaign, which ``fields`` has as ``status``.
    """
    record = prospect(lead, campaign_id, unsubscribed=unsubscribed)
    fields = ColumnValuesWithStatus(record["fields"])
    fields.status = status
    return {**record, "fields": fields}


def added(lead: Json, campaign_id: str, columns: Json) -> Prospect:
    """Return the record of a person who was added with ``columns``.

    :param lead: what the list shows, or the mark of a dry run.
    """
    record: Prospect = {**prospect(lead, campaign_id), "email": columns[EMAIL], "fields": columns}
    return marked(record, lead)


def marked(record: Prospect, answer: Mapping[str, Any]) -> Prospect:
    """Return ``record``, marked as dry run if ``answer`` is."""
    return cast("Prospect", {**record, "dry_run": True}) if answer.get("dry_run") else record
