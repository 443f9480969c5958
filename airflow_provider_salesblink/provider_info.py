"""What Airflow asks a provider: which connection type, hooks and operators this package brings."""

from __future__ import annotations

from typing import Any

from airflow_provider_salesblink import connection_form

PACKAGE_NAME = "airflow-provider-salesblink"

_INTEGRATION = "SalesBlink"
_OPERATORS = ("campaigns", "loads", "prospects", "team")


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, found through the ``apache_airflow_provider`` entry point."""
    return {
        # Airflow refuses a provider whose name is not its distribution's.
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
        "hooks": [
            {"integration-name": _INTEGRATION, "python-modules": ["airflow_provider_salesblink.hooks.salesblink"]}
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"airflow_provider_salesblink.operators.{name}" for name in _OPERATORS],
            }
        ],
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
