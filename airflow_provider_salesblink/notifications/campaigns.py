"""Notifiers for campaigns: what should happen to one when something else fails."""

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
    """Pause a campaign: as ``on_failure_callback``, a failing pipeline stops the campaign that it feeds.

    A task's callback runs on its worker, after the last retry; a DAG's runs in the DAG processor, which gives it
    ``dag_file_processor_timeout`` (50 s): a pause that has to wait for the request budget may take longer, so prefer
    tasks (``default_args``). Airflow does not try a callback again, and the failure stays what it was: where pausing
    fails, the log says that the campaign may go on. Safe to run again.

    Exactly one of ``campaign_id`` and ``campaign_name`` says which. From Airflow 3.1 on it may be awaited, as in
    deadline alerts; what is templated there is rendered only with what Airflow hands over.

    :param campaign_id: the campaign's id (templated).
    :param campaign_name: its full name, which only one campaign may have (templated); costs one more read.
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
        # Now, not when something fails: that is no time to learn of it.
        exactly_one(campaign_id=campaign_id, campaign_name=campaign_name)
        self.campaign_id = campaign_id
        self.campaign_name = campaign_name
        self.salesblink_conn_id = salesblink_conn_id

    def __call__(self, *args: Any) -> None:
        """Pause the campaign that the context says."""
        # Rendering overwrites the templates, and one notifier may serve several tasks and runs in one process.
        BaseNotifier.__call__(copy(self), *args)

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Replace the templates by what they say."""
        with self._alarm():
            # dag.test() of Airflow 3 hands a DAG's callbacks a DAG that has no environment for templates.
            bare = not hasattr(context.get("dag"), "get_template_env")
            super().render_template_fields(context, jinja_env or (self.get_template_env() if bare else None))

    def notify(self, context: Context) -> None:  # noqa: ARG002
        """Pause the campaign."""
        with self._alarm():
            normalize_arguments(self)
            self._pause(SalesBlinkHook.get_connection(self.salesblink_conn_id))

    async def async_notify(self, context: Context) -> None:  # noqa: ARG002
        """Pause the campaign, in a thread: the event loop goes on meanwhile."""
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
        """Say what an error means, whichever it is: of a callback's Airflow tells at most that there was one."""
        try:
            yield
        except BaseException as error:
            from airflow_provider_salesblink.client.redaction import redacted

            which = self.campaign_name if self.campaign_id is None else self.campaign_id
            log.error(
                "Campaign %s was not paused and may go on mailing people: pause it by hand in SalesBlink. Reason: %s",
                redacted(repr(which)),
                redacted(str(error) or type(error).__name__),
            )
            raise
