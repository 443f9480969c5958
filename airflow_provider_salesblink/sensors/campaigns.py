"""Sensors for campaigns."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.argument_types import normalize_arguments
from airflow_provider_salesblink.choices import CampaignState, OnTrip
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import exactly_one, one_of, outcome
from airflow_provider_salesblink.sensors.base import SalesBlinkSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.triggers.base import SalesBlinkTrigger


class CampaignSensor(SalesBlinkSensor):
    """Wait until a campaign is in a state.

    Pass exactly one of ``campaign_id`` and ``campaign_name``. The sensor polls the list of all campaigns, and for the
    states of the API v1 also the list of those in the state; deferred sensors share these requests. If SalesBlink does
    not show the state, the task fails and names the fields it returned. XCom: ``outcome`` (the state) and
    ``campaign_id``.

    :param campaign_id: the campaign's id (templated).
    :param campaign_name: its full name, which must be unique (templated).
    :param state: ``paused`` or ``running`` (not paused); on the API v1 also ``completed``, ``needs-attention`` or
        ``archived``. On the classic API, the task fails at once for these three.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param deferrable: wait in the triggerer, without a worker.
    :param max_consecutive_failures: number of polls in a row that may fail with a passing error.
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_name", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str | None = None,
        campaign_name: str | None = None,
        state: CampaignState = "paused",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("state", state, get_args(CampaignState))
        self.campaign_id = campaign_id
        self.campaign_name = campaign_name
        self.state: CampaignState = state

    def describe_condition(self) -> str:
        """Return the campaign and the state, in words."""
        from airflow_provider_salesblink.client.redaction import redacted

        which = self.campaign_name if self.campaign_id is None else self.campaign_id
        return f"campaign {redacted(str(which))!r} to be {self.state}"

    def trigger(self) -> SalesBlinkTrigger:
        """Return the trigger that waits for the same condition."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger

        normalize_arguments(self)
        exactly_one(campaign_id=self.campaign_id, campaign_name=self.campaign_name)
        if self.campaign_id is not None:
            validation.identifier("campaign_id", self.campaign_id)
        else:
            validation.term("campaign_name", self.campaign_name)
        return CampaignTrigger(
            state=self.state,
            campaign_id=self.campaign_id,
            campaign_name=self.campaign_name,
            **self.polling_arguments(),
        )


class CampaignHealthSensor(SalesBlinkSensor):
    """Watch a campaign until too many of its mails bounce, or too many people unsubscribe (API v1).

    It counts the mails that were sent in the window before each poll, and the bounces, unsubscribes and replies of the
    people who got them. A rate counts as beyond its limit if that is hardly chance, and not before ``min_sample``
    mails. Opens are ignored. The wait also ends when the campaign no longer runs.

    XCom: ``outcome``, which is "paused", "unhealthy" or "ended"; ``campaign_id``; ``state`` of the campaign before;
    ``exceeded``, the rates beyond their limits; and the figures ``sent``, ``bounced``, ``unsubscribed``, ``replied``,
    ``bounce_rate``, ``unsubscribe_rate`` and ``reply_rate``.

    :param campaign_id: the campaign's id (templated).
    :param on_trip: what to do when a rate is beyond its limit: ``fail`` fails the task without retries, ``pause``
        pauses the campaign and succeeds ("paused"), ``succeed`` only succeeds ("unhealthy").
    :param window: how long before a poll the mails were sent, as text such as "24h" or "7d", or as a ``timedelta``.
    :param max_bounce_rate: highest share of the mails that bounces; None for no limit.
    :param max_unsubscribe_rate: highest share of the mails after which the person unsubscribes; None for no limit.
    :param min_reply_rate: lowest share of the mails that is replied to; None for no limit.
    :param min_sample: number of mails in the window below which nothing is decided.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param deferrable: wait in the triggerer, without a worker. The pause itself runs on a worker.
    :param max_consecutive_failures: number of polls in a row that may fail with a passing error. In deferrable mode,
        also the number of attempts to pause.
    """

    template_fields: Sequence[str] = ("campaign_id", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str,
        on_trip: OnTrip = "fail",
        window: str | timedelta = "24h",
        max_bounce_rate: float | None = 0.05,
        max_unsubscribe_rate: float | None = 0.02,
        min_reply_rate: float | None = None,
        min_sample: int = 200,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("on_trip", on_trip, get_args(OnTrip))
        self.campaign_id = campaign_id
        self.on_trip: OnTrip = on_trip
        self.window = window
        self.max_bounce_rate = max_bounce_rate
        self.max_unsubscribe_rate = max_unsubscribe_rate
        self.min_reply_rate = min_reply_rate
        self.min_sample = min_sample

    def describe_condition(self) -> str:
        """Return the campaign and the limits, in words."""
        from airflow_provider_salesblink.client.redaction import redacted

        return redacted(f"campaign {str(self.campaign_id)!r} to be beyond its limits, or to end")

    def trigger(self) -> SalesBlinkTrigger:
        """Return the trigger that waits for the same condition."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.results.windows import parse_length
        from airflow_provider_salesblink.triggers.campaigns import CampaignHealthTrigger

        normalize_arguments(self)
        validation.identifier("campaign_id", self.campaign_id)
        rates = ("max_bounce_rate", "max_unsubscribe_rate", "min_reply_rate", "min_sample")
        limits = {name: getattr(self, name) for name in rates}
        limits["window"] = parse_length("window", self.window).total_seconds()
        return CampaignHealthTrigger(campaign_id=self.campaign_id, limits=limits, **self.polling_arguments())

    def finish(self, found: dict[str, Any]) -> dict[str, Any]:
        """Act on a campaign that is beyond a limit, as ``on_trip`` says.

        :raises AirflowFailException: ``on_trip`` is "fail".
        """
        which, figures = found["campaign_id"], _in_words(found)
        if found["outcome"] == "ended":
            self.log.info("Campaign %s is %s, so the wait ends. %s", which, found["state"], figures)
            return found
        self.log.warning("Campaign %s is beyond its limit: %s. %s", which, found["exceeded"], figures)
        if self.on_trip == "fail":
            raise AirflowFailException(
                f"Campaign {which} is beyond its limit: {found['exceeded']}. {figures} The campaign is "
                f"{found['state']}. Look at its addresses and texts before you continue it."
            )
        return self._paused(found) if self.on_trip == "pause" else found

    def _paused(self, found: dict[str, Any]) -> dict[str, Any]:
        from airflow_provider_salesblink.client import SalesBlinkError

        client = self.hook.get_conn()
        try:
            campaign = client.campaigns.get(self.campaign_id)
            # The state "paused" might bring back what somebody has archived.
            if campaign["paused"] or campaign["raw"].get("archived") is True:
                self.log.info("Campaign %s no longer runs; nothing was sent.", self.campaign_id)
                return {**found, "outcome": "paused"}
            answer = self._pause(client)
        except SalesBlinkError:
            self.log.warning("The campaign may still be running: pausing it may have failed.")
            raise
        return {**found, **outcome("paused", dry_run=answer.get("dry_run", False))}

    def _pause(self, client: SalesBlinkClient) -> Any:  # noqa: ANN401  # a record of a campaign
        """Pause the campaign with one write, and with a second one only if the first did nothing."""
        from airflow_provider_salesblink.client import SalesBlinkError

        connection = self.hook.get_connection(self.salesblink_conn_id)
        try:
            with self.hook.client_of(connection, max_attempts=1) as once:
                return once.campaigns.pause(self.campaign_id)
        except SalesBlinkError as error:
            if error.permanent:
                raise
            self.log.info("%s Reading whether the campaign is paused.", error)
        campaign = client.campaigns.get(self.campaign_id)
        return campaign if campaign["paused"] else client.campaigns.pause(self.campaign_id)

    def resume(self, context: Context, event: dict[str, Any], failures: int = 0) -> dict[str, Any]:
        """Return what the trigger found and act on it, or raise its reason.

        A pause that fails with a passing error is tried again after a deferral: without it the campaign would go on.

        :param failures: number of attempts that failed.
        """
        from airflow_provider_salesblink.client import SalesBlinkError

        try:
            return super().resume(context, event)
        except SalesBlinkError as error:
            if error.permanent:
                raise AirflowFailException(str(error)) from error
            if event["status"] != "met" or failures + 1 >= self.max_consecutive_failures:
                raise
            wait = max(getattr(error, "retry_after", None) or 0.0, self.poke_interval)
            self.log.warning("%s Trying again in %.0f s.", error, wait)
        return self._try_again_after(wait, event, failures + 1)

    def _try_again_after(self, seconds: float, event: dict[str, Any], failures: int) -> dict[str, Any]:
        from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=seconds)),
            method_name="try_again",
            kwargs={"found": event, "failures": failures},
        )
        raise AssertionError("defer() does not return")

    def try_again(
        self,
        context: Context,
        event: Any = None,  # noqa: ANN401, ARG002
        found: dict[str, Any] | None = None,
        failures: int = 0,
    ) -> dict[str, Any]:
        """Act on what the trigger found, after an attempt that failed."""
        # dag.test() passes only the event. Then the next poll finds it again.
        found_again: dict[str, Any] = self.resume(context, found, failures) if found else self.execute(context)
        return found_again


def _in_words(found: dict[str, Any]) -> str:
    shown = [("bounced", "bounced"), ("unsubscribed", "unsubscribed"), ("replied to", "replied")]
    counts = ", ".join(f"{found[name]} {word}" for word, name in shown)
    return f"Of {found['sent']} mails in the window: {counts}."
