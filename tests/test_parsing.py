"""Parsing a DAG is cheap: operators and sensors import neither the client nor its libraries."""

from __future__ import annotations

import json
import subprocess
import sys

_LOADED = """
import json, sys
from airflow.providers.common.compat.sdk import (
    AirflowFailException, AirflowPlugin, BaseHook, BaseNotifier, BaseOperator, BaseOperatorLink, BaseSensorOperator,
    ObjectStoragePath, XCom, conf, mask_secret)
from airflow.providers.common.compat import version_compat
try:
    import airflow.providers.standard.operators.hitl
except Exception:  # an Airflow below 3.1
    pass
import airflow.cli.cli_config
before = set(sys.modules)
import airflow_provider_salesblink.provider_info
airflow_provider_salesblink.provider_info.get_provider_info()
import airflow_provider_salesblink.assets
import airflow_provider_salesblink.command_line.airflow_commands
airflow_provider_salesblink.command_line.airflow_commands.get_salesblink_commands()
import airflow_provider_salesblink.notifications.campaigns
import airflow_provider_salesblink.operators.api
import airflow_provider_salesblink.operators.blocklist
import airflow_provider_salesblink.operators.campaigns
import airflow_provider_salesblink.operators.forgetting
import airflow_provider_salesblink.operators.leads
import airflow_provider_salesblink.operators.lists
import airflow_provider_salesblink.operators.loads
import airflow_provider_salesblink.operators.plans
import airflow_provider_salesblink.operators.prospects
import airflow_provider_salesblink.operators.reports
import airflow_provider_salesblink.operators.results
import airflow_provider_salesblink.operators.sequences
import airflow_provider_salesblink.operators.snapshots
import airflow_provider_salesblink.operators.team
import airflow_provider_salesblink.plugins.reports
import airflow_provider_salesblink.sensors.campaigns
import airflow_provider_salesblink.sensors.prospects
print(json.dumps(sorted(set(sys.modules) - before)))
"""
_TRIGGERS = """
import json, sys
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret
import airflow.triggers.base
import airflow.providers.common.compat.triggers
before = set(sys.modules)
import airflow_provider_salesblink.triggers.campaigns
import airflow_provider_salesblink.triggers.events
import airflow_provider_salesblink.triggers.health
import airflow_provider_salesblink.triggers.prospects
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def _loaded(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def _with_any_part(loaded: list[str], *parts: str) -> list[str]:
    return [name for name in loaded if any(part in name.split(".") for part in parts)]


def test_importing_every_operator_and_sensor_loads_only_what_is_ours_and_light() -> None:
    loaded = _loaded(_LOADED)

    assert [name for name in loaded if not name.startswith("airflow_provider_salesblink")] == []
    # A task that is deferred imports the trigger.
    assert _with_any_part(loaded, "client", "loading", "sandbox", "triggers", "waiting") == []


def test_importing_a_trigger_loads_no_client() -> None:
    # Imports block the triggerer's event loop.
    loaded = _loaded(_TRIGGERS)

    assert [name for name in loaded if not name.startswith("airflow_provider_salesblink")] == []
    assert _with_any_part(loaded, "client", "shared_client", "loading", "poller", "sandbox", "sensors") == []


def test_every_operator_and_sensor_module_is_among_them() -> None:
    from airflow_provider_salesblink.provider_info import get_provider_info

    for kind in ("operators", "sensors"):
        for group in get_provider_info()[kind]:
            assert all(name in _LOADED for name in group["python-modules"])
    for name in get_provider_info()["notifications"]:
        assert name.rpartition(".")[0] in _LOADED
