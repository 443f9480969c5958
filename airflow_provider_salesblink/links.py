"""A link from a task to its campaign's page in SalesBlink's web app."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom, conf, redact

from airflow_provider_salesblink.arguments import digits
from airflow_provider_salesblink.config import CAMPAIGN_PAGE_ROOT, CAMPAIGN_PAGE_ROOT_DEFAULT, SECTION

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

_TEMPLATE = re.compile(r"\{[{%#]")

log = logging.getLogger(__name__)


class CampaignLink(BaseOperatorLink):
    """The button "Campaign in SalesBlink" of a task.

    It leads to ``[salesblink] campaign_page_root`` of Airflow's configuration, followed by the campaign's id. Where no
    campaign is known, or that root is no web address, there is no link.
    """

    name = "Campaign in SalesBlink"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ANN401
        """The page of the campaign that a task was about; empty where it is not known."""
        campaign_id = _rendered_id(operator) or _told_id(ti_key)
        # A key or an address is no id, which the task itself says; and Airflow stores links.
        if not campaign_id or "@" in campaign_id or redact(campaign_id) != campaign_id:
            return ""
        return campaign_page(campaign_id)


def campaign_page(campaign_id: str) -> str:
    """The address of a campaign's page; empty where the configured root is no web address."""
    root: str = conf.get(SECTION, CAMPAIGN_PAGE_ROOT, fallback=CAMPAIGN_PAGE_ROOT_DEFAULT)
    parts = urlsplit(root)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        log.warning("[%s] %s is no web address, so tasks do not link to their campaign.", SECTION, CAMPAIGN_PAGE_ROOT)
        return ""
    return f"{root}{quote(campaign_id, safe='')}"


def _rendered_id(operator: BaseOperator) -> str | None:
    # On a worker it is rendered; Airflow 2 asks its webserver, which knows only the template.
    campaign_id = digits(getattr(operator, "campaign_id", None))
    return campaign_id if isinstance(campaign_id, str) and not _TEMPLATE.search(campaign_id) else None


def _told_id(ti_key: Any) -> str | None:  # noqa: ANN401
    told = XCom.get_value(ti_key=ti_key, key="return_value")
    campaign_id = told.get("campaign_id") if isinstance(told, dict) else None
    return campaign_id if isinstance(campaign_id, str) else None
