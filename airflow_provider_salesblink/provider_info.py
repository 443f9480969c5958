"""The provider's metadata for Airflow: its connection type, hooks, operators and the rest."""

from __future__ import annotations

from typing import Any

from airflow_provider_salesblink import airflow_config, assets, connection_form

PACKAGE_NAME = "airflow-provider-salesblink"

_INTEGRATION = "SalesBlink"
_ASSET_URIS = {
    "schemes": [assets.SCHEME],
    "handler": "airflow_provider_salesblink.assets.sanitize_uri",
    "factory": "airflow_provider_salesblink.assets.campaign_asset",
    "to_openlineage_converter": "airflow_provider_salesblink.assets.openlineage_dataset",
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata. The entry point ``apache_airflow_provider`` leads Airflow here."""
    return {
        # Airflow rejects a provider whose package name differs from the name of its distribution.
        "package-name": PACKAGE_NAME,
        "name": "SalesBlink",
        "description": "Add people to SalesBlink campaigns, change them, stop campaigns, honour opt-outs.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://salesblink.io",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hooks", "salesblink"),
        "operators": _modules(
            "operators",
            *("api", "blocklist", "campaigns", "forgetting", "leads", "lists", "loads", "plans", "prospects"),
            *("reports", "results", "sequences", "snapshots", "team"),
        ),
        "sensors": _modules("sensors", "campaigns", "prospects"),
        "triggers": _modules("triggers", "campaigns", "events", "health", "prospects"),
        "notifications": ["airflow_provider_salesblink.notifications.campaigns.PauseCampaignNotifier"],
        "extra-links": [f"airflow_provider_salesblink.links.{name}" for name in ("CampaignLink", "ReportLink")],
        # Airflow 3.2 and later.
        "cli": ["airflow_provider_salesblink.command_line.airflow_commands.get_salesblink_commands"],
        "config": airflow_config.config_sections(),
        # Airflow 3 reads the first, Airflow 2 the second.
        "asset-uris": [_ASSET_URIS],
        "dataset-uris": [_ASSET_URIS],
        "connection-types": [
            {
                "connection-type": connection_form.CONN_TYPE,
                "hook-class-name": "airflow_provider_salesblink.hooks.salesblink.SalesBlinkHook",
                "hook-name": connection_form.HOOK_NAME,
                "conn-fields": connection_form.conn_fields(),
                "ui-field-behaviour": {
                    "hidden-fields": connection_form.HIDDEN_FIELDS,
                    "relabeling": connection_form.RELABELING,
                    "placeholders": connection_form.PLACEHOLDERS,
                },
            }
        ],
    }


def _modules(folder: str, *names: str) -> list[dict[str, Any]]:
    modules = [f"airflow_provider_salesblink.{folder}.{name}" for name in names]
    return [{"integration-name": _INTEGRATION, "python-modules": modules}]
