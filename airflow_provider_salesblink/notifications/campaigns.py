"""Notifiers that act on a campaign when something else fails."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_provider_salesblink.argument_types import normalize_arguments
from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.operators.base import exactly_one
from airflow_provider_salesblink.operators.campaigns import chosen_campaign
from airflow_provider_salesblink.template_rendering import PrivateTemplates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import jinja2
    from airflow.providers.common.compat.sdk import Connection, Context

log = logging.getLogger(__name__)


class PauseCampaignNotifier(PrivateTemplates, BaseNotifier):
    """Pause a campaign. As ``on_failure_callback``, it stops the campaign that a failing pipeline feeds.

    A task's callback runs on its worker, after the last retry. A DAG's callback runs in the DAG processor, which stops
    it after ``dag_file_processor_timeout`` (50 s). A pause that waits for the rate limit may take longer, so prefer
    callbacks of tasks (``default_args``). Airflow does not retry a callback. If the pause fails, the log says that the
    campaign may continue. Safe to run again.

    Pass exactly one of ``campaign_id`` and ``campaign_name``. In Airflow 3.1 and later it also works as the callback of
    a deadline alert, where templates see only the context that Airflow passes.

    :param campaign_id: the campaign's id (templated).
    :param campaign_name: its full name, which must be unique (templated); costs one more read.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_name", "salesblink_conn_id")

    def __init__(
        self,
        *,
        campaign_id: str | None = None,
        campaign_name: str | None = None,
        salesblink_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Check now: when something fails, it is too late to learn of a wrong argument.
        exactly_one(campaign_id=campaign_id, campaign_name=campaign_name)
        self.campaign_id = campaign_id
        self.campaign_name = campaign_name
        self.salesblink_conn_id = salesblink_conn_id

    def __call__(self, *args: Any) -> None:
        """Render the templates with the context, and pause the campaign."""
        # On a copy: rendering overwrites the templates, and several tasks and runs may share a notifier.
        BaseNotifier.__call__(copy(self), *args)

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the templates."""
        with self._alarm():
            # dag.test() of Airflow 3 passes callbacks a DAG without an environment for templates.
            bare = not hasattr(context.get("dag"), "get_template_env")
            super().render_template_fields(context, jinja_env or (self.get_template_env() if bare else None))

    def notify(self, context: Context) -> None:  # noqa: ARG002
        """Pause the campaign."""
        with self._alarm():
            normalize_arguments(self)
            self._pause(SalesBlinkHook.get_connection(self.salesblink_conn_id))

    async def async_notify(self, context: Context) -> None:  # noqa: ARG002
        """Pause the campaign in a thread, without blocking the event loop."""
        from airflow.providers.common.compat.connection import get_async_connection

        with self._alarm():
            normalize_arguments(self)
            connection = await get_async_connection(self.salesblink_conn_id)
            await asyncio.to_thread(self._pause, connection)

    def _pause(self, connection: Connection) -> None:
        with SalesBlinkHook(self.salesblink_conn_id).client_of(connection) as client:
            campaign_id = chosen_campaign(client, self.campaign_id, self.campaign_name)
            answered = client.campaigns.pause(campaign_id)
        log.info("Campaign %s: %s.", campaign_id, "would be paused" if answered.get("dry_run") else "paused")

    @contextmanager
    def _alarm(self) -> Iterator[None]:
        """Log what an error means for the campaign: Airflow logs at most that a callback failed."""
        try:
            yield
        except BaseException as error:
            from airflow_provider_salesblink.client.redaction import redacted

            which = self.campaign_name if self.campaign_id is None else self.campaign_id
            log.error(
                "Campaign %s was not paused and may keep mailing people. Pause it by hand in SalesBlink. Reason: %s",
                redacted(repr(which)),
                redacted(str(error) or type(error).__name__),
            )
            raise
