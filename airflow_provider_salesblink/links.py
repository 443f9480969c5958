"""Links from a task: to its campaign (on v1: its sequence) in SalesBlink, and to its report in Airflow's UI."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom, conf, redact

from airflow_provider_salesblink.airflow_config import (
    CAMPAIGN_PAGE_ROOT,
    CAMPAIGN_PAGE_ROOT_DEFAULT,
    REPORTS_PATH,
    SECTION,
)
from airflow_provider_salesblink.argument_types import digits
from airflow_provider_salesblink.choices import ALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import BaseOperator

_ID_NAMES = ("campaign_id", "sequence_id")

_TEMPLATE = re.compile(r"\{[{%#]")

log = logging.getLogger(__name__)


class CampaignLink(BaseOperatorLink):
    """A button "Campaign in SalesBlink" on a task's page in Airflow's UI.

    It opens the URL in Airflow's setting ``[salesblink] campaign_page_root``, followed by the campaign's id. There is
    no link if the campaign is not known, or if the setting is not an http or https URL.
    """

    name = "Campaign in SalesBlink"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ANN401
        """Return the URL of the page of the task's campaign; empty if the campaign is not known."""
        campaign_id = _rendered_id(operator) or _id_in_xcom(ti_key)
        # Airflow stores links, so a key or an address that was passed as an id by mistake must not be in one.
        if not campaign_id or campaign_id == ALL or "@" in campaign_id or redact(campaign_id) != campaign_id:
            return ""
        return campaign_page(campaign_id)


class ReportLink(BaseOperatorLink):
    """A button "Report" on a task's page in Airflow's UI, from 3.1.

    It opens the report that the task wrote. There is no link if the report is not in the folder of Airflow's setting
    ``[salesblink] reports_path``, because the UI shows only that folder.
    """

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ANN401, ARG002
        """Return the URL of the task's report; empty if Airflow's UI does not show it."""
        result = XCom.get_value(ti_key=ti_key, key="return_value")
        folder, _, name = str(result.get("path") if isinstance(result, dict) else "").rpartition("/")
        if not name or _plain(folder) != _plain(conf.get(SECTION, REPORTS_PATH, fallback="")):
            return ""
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/salesblink/reports/{quote(name, safe='')}"


def _plain(folder: str) -> str:
    return folder.removeprefix("file://").rstrip("/")


def campaign_page(campaign_id: str) -> str:
    """Return the URL of a campaign's page; empty if the configured root is not an http or https URL."""
    root: str = conf.get(SECTION, CAMPAIGN_PAGE_ROOT, fallback=CAMPAIGN_PAGE_ROOT_DEFAULT)
    parts = urlsplit(root)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        log.warning("[%s] %s is not an http(s) URL: tasks do not link to their campaign.", SECTION, CAMPAIGN_PAGE_ROOT)
        return ""
    return f"{root}{quote(campaign_id, safe='')}"


def campaign_page_of(base_url: str) -> Callable[[str], str]:
    """Return a function that returns the URL of a campaign's page; empty if there is none.

    :param base_url: the root URL of the connection. If it is not SalesBlink's own, as with the sandbox, only a
        configured root has pages.
    """
    is_theirs = urlsplit(base_url).hostname == urlsplit(CAMPAIGN_PAGE_ROOT_DEFAULT).hostname
    root = conf.get(SECTION, CAMPAIGN_PAGE_ROOT, fallback=CAMPAIGN_PAGE_ROOT_DEFAULT)
    has_pages = is_theirs or root != CAMPAIGN_PAGE_ROOT_DEFAULT
    return lambda campaign_id: campaign_page(campaign_id) if has_pages and "@" not in campaign_id else ""


def _rendered_id(operator: BaseOperator) -> str | None:
    # Rendered on a worker; Airflow 2 builds links in its webserver, which knows only the template.
    given = [digits(getattr(operator, name, None)) for name in _ID_NAMES]
    return next((each for each in given if isinstance(each, str) and not _TEMPLATE.search(each)), None)


def _id_in_xcom(ti_key: Any) -> str | None:  # noqa: ANN401
    result = XCom.get_value(ti_key=ti_key, key="return_value")
    found = [result.get(name) for name in _ID_NAMES] if isinstance(result, dict) else []
    return next((each for each in found if isinstance(each, str)), None)
