"""The provider's section of Airflow's configuration."""

from __future__ import annotations

from typing import Any

SECTION = "salesblink"

CAMPAIGN_PAGE_ROOT = "campaign_page_root"
CAMPAIGN_PAGE_ROOT_DEFAULT = "https://run.salesblink.io/campaigns/"
"""A guess: SalesBlink documents no address of a campaign's page."""


def sections() -> dict[str, Any]:
    """The configuration as the provider info describes it."""
    return {
        SECTION: {
            "description": "How this Airflow uses SalesBlink.",
            "options": {
                CAMPAIGN_PAGE_ROOT: {
                    "description": (
                        "The address of a campaign's page in SalesBlink's web app, up to the campaign's id; tasks link "
                        "to it. SalesBlink does not document it: take it from your browser."
                    ),
                    "version_added": "0.1.0",
                    "type": "string",
                    "example": "https://app.example.com/campaigns/",
                    "default": CAMPAIGN_PAGE_ROOT_DEFAULT,
                }
            },
        }
    }
