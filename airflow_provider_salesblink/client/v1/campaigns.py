"""Campaigns of the API v1, which calls them sequences (``/api/public/v1.0.0/sequences``)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError, UnreadableResponseError

if TYPE_CHECKING:
    import builtins

    from airflow_provider_salesblink.choices import CampaignState
    from airflow_provider_salesblink.client.records import Campaign
    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.sequences import Sequences

log = logging.getLogger(__name__)

STATUS_TIME = 5.0
"""Seconds in which a status has to show. After that, the client takes it that the status alone did nothing."""
RELAUNCH = {"launchTimingMode": "now", "paused": False}


class Campaigns:
    """Calls about campaigns. Each raises a subclass of :class:`SalesBlinkError` if it fails."""

    def __init__(self, requestor: Requestor, sequences: Sequences) -> None:
        self._requestor = requestor
        self._sequences = sequences

    def search(self, term: str) -> list[Campaign]:
        """Return the campaigns whose name contains ``term``, without archived ones (``GET /sequences?search=``)."""
        term = validation.term("term", term)
        found = map(campaign, self._sequences.list(search=term))
        # What the search compares is not documented.
        return [each for each in found if term.casefold() in (each["name"] or "").casefold()]

    def list(self) -> list[Campaign]:
        """Return all campaigns that the key can see, without archived ones (``GET /sequences``)."""
        return [campaign(each) for each in self._sequences.list()]

    def in_state(self, state: CampaignState) -> builtins.list[Campaign]:
        """Return the campaigns that are in a state (``GET /sequences``).

        SalesBlink's filters decide on ``completed``, ``needs-attention`` and ``archived``. What the campaigns show
        decides on the other states.
        """
        if validation.term("state", state) in ("paused", "running"):
            return [each for each in self.list() if each["paused"] is (state == "paused")]
        if state == "archived":
            found = map(campaign, self._sequences.list(archived=True))
            return [each for each in found if each["raw"].get("archived") is not False]
        return [campaign(each) for each in self._sequences.list(status=state)]

    def get(self, campaign_id: str) -> Campaign:
        """Return one campaign (``GET /sequences/{id}``).

        :raises NotFoundError: there is no campaign with this id.
        """
        campaign_id = validation.identifier("campaign_id", campaign_id)
        return campaign(self._sequences.get(campaign_id), campaign_id)

    def pause(self, campaign_id: str) -> Campaign:
        """Stop a campaign's upcoming mails (``POST /sequences/{id}/status``), and read back that it is paused.

        :raises UnreadableResponseError: SalesBlink accepted the call, but shows the campaign as running.
        """
        campaign_id = validation.identifier("campaign_id", campaign_id)
        answer = self._sequences.set_status(campaign_id, "PAUSED")
        if answer.get("dry_run"):
            return {**campaign({}, campaign_id), "dry_run": True}
        return self._expect(campaign_id, paused=True)

    def unpause(self, campaign_id: str) -> Campaign:
        """Resume a paused campaign (``POST /sequences/{id}/status``), and read back that it runs.

        Sends nothing if the campaign runs already, because starting it again may mail people again. If the campaign is
        still paused after the call, the client sends ``PATCH /sequences/{id}`` with ``launchTimingMode`` "now" and
        ``paused`` false: one vendor note says that this is what plans the mails.

        :raises InvalidInputError: the campaign is archived. Nothing was sent.
        :raises UnreadableResponseError: SalesBlink accepted the calls, but shows the campaign as paused.
        """
        found = self.get(campaign_id)
        if found["raw"].get("archived") is True:
            raise InvalidInputError(
                f"Campaign {found['id']} is archived, so it cannot be resumed; nothing was sent. Restore it "
                "in SalesBlink first."
            )
        if found["paused"] is False:
            log.info("Campaign %s runs already; nothing was sent.", found["id"])
            return found
        if self._sequences.set_status(found["id"], "ACTIVE").get("dry_run"):
            return {**found, "dry_run": True}
        resumed = self._once(found["id"], paused=False, within=min(STATUS_TIME, self._requestor.settling_time))
        if resumed is None:
            self._requestor.write_once(
                "sequences", found["id"], body=RELAUNCH, method="PATCH", find_existing=lambda: self._if_running(found)
            )
        return self._expect(found["id"], paused=False)

    def _if_running(self, found: Campaign) -> Campaign | None:
        now = self.get(found["id"])
        return now if now["paused"] is False else None

    def _expect(self, campaign_id: str, *, paused: bool) -> Campaign:
        """Return the campaign once it shows the state, or does not show any."""
        found = self._once(campaign_id, paused=paused, within=self._requestor.settling_time)
        if found is None:
            raise UnreadableResponseError(
                f"SalesBlink accepted the call, but still shows campaign {campaign_id} as "
                f"{'running' if paused else 'paused'}. Check it in SalesBlink."
            )
        return found

    def _once(self, campaign_id: str, *, paused: bool, within: float) -> Campaign | None:
        def reached() -> Campaign | None:
            now = self.get(campaign_id)
            return now if now["paused"] in (paused, None) else None

        return self._requestor.wait_until(reached, within)


def campaign(found: dict[str, Any], known_id: str | None = None) -> Campaign:
    """Return a sequence as the record of a campaign.

    :param known_id: its id, if the request had it.
    :raises UnreadableResponseError: it has no id.
    """
    found_id = known_id or found.get("id")
    if not found_id:
        raise UnreadableResponseError("A sequence in SalesBlink's answer has no id. Try again later.")
    name, paused = found.get("name"), found.get("paused")
    return {
        "id": str(found_id),
        "name": name if isinstance(name, str) else None,
        "paused": paused if isinstance(paused, bool) else None,
        "raw": found,
    }
