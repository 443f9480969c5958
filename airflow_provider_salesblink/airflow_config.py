"""The ``[salesblink]`` section of Airflow's configuration."""

from __future__ import annotations

from typing import Any

SECTION = "salesblink"

CAMPAIGN_PAGE_ROOT = "campaign_page_root"
CAMPAIGN_PAGE_ROOT_DEFAULT = "https://run.salesblink.io/campaigns/"
"""A guess: SalesBlink does not document the URL of a campaign's page."""

REPORTS_PATH = "reports_path"


def config_sections() -> dict[str, Any]:
    """Return the section as the provider info describes it to Airflow."""
    return {
        SECTION: {
            "description": "How this Airflow uses SalesBlink.",
            "options": {
                CAMPAIGN_PAGE_ROOT: {
                    "description": (
                        "The URL of a campaign's page in SalesBlink's web app, without the campaign's id at its end; "
                        "tasks link to it. SalesBlink does not document this URL: copy it from your browser."
                    ),
                    "version_added": "0.1.0",
                    "type": "string",
                    "example": "https://app.example.com/campaigns/",
                    "default": CAMPAIGN_PAGE_ROOT_DEFAULT,
                },
                REPORTS_PATH: {
                    "description": (
                        "The folder to which CampaignReportOperator writes, on any object storage. Airflow's UI (3.1 "
                        "and later) shows the reports in it, without its subfolders, to everybody who may use the UI. "
                        "Empty for no reports in the UI."
                    ),
                    "version_added": "0.2.0",
                    "type": "string",
                    "example": "s3://aws_default@reports/salesblink",
                    "default": "",
                },
            },
        }
    }
