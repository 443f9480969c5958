"""The plug-in that shows the pages of CampaignReportOperator in Airflow's UI.

Every Airflow process loads it, also those that parse DAGs, so it imports FastAPI only when somebody opens a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowPlugin, conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_salesblink.airflow_config import REPORTS_PATH, SECTION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]

URL_PREFIX = "/salesblink"
NAME = "SalesBlink reports"


async def serve(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer a request for a page below ``/salesblink``."""
    from airflow_provider_salesblink.plugins.report_pages import app

    await app(scope, receive, send)


class SalesBlinkReportsPlugin(AirflowPlugin):
    """Adds "SalesBlink reports" to the navigation of Airflow 3.1 and later, if ``[salesblink] reports_path`` is set."""

    name = "salesblink_reports"
    fastapi_apps = [{"app": serve, "url_prefix": URL_PREFIX, "name": NAME}] if AIRFLOW_V_3_1_PLUS else []
    external_views = (
        # Without a slash in front, so that it also works where Airflow's base URL has a path.
        [{"name": NAME, "href": f"{URL_PREFIX[1:]}/reports", "destination": "nav", "url_route": "salesblink-reports"}]
        if AIRFLOW_V_3_1_PLUS and conf.get(SECTION, REPORTS_PATH, fallback="")
        else []
    )
