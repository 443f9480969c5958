"""The plug-in as Airflow loads it: it adds pages to Airflow 3, and nothing to Airflow 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points

from airflow_provider_salesblink.plugins.reports import NAME, SalesBlinkReportsPlugin
from airflow_provider_salesblink.provider_info import PACKAGE_NAME
from tests.conftest import GENERATION

_LOADED = """
import json, sys
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
info = [each for each in plugins_manager.get_plugin_info() if each["name"] == "salesblink_reports"]
loaded = [name for name in sys.modules if name.startswith("airflow_provider_salesblink")]
print(json.dumps([info, loaded], default=str))
"""


def test_the_entry_point_names_the_plugin() -> None:
    (found,) = [each for each in entry_points(group="airflow.plugins") if each.dist.name == PACKAGE_NAME]

    assert found.load() is SalesBlinkReportsPlugin


def test_airflow_loads_it_without_its_pages() -> None:
    environment = {**os.environ, "AIRFLOW__SALESBLINK__REPORTS_PATH": "/reports"}
    code = ["-W", "ignore", "-c", _LOADED]
    done = subprocess.run([sys.executable, *code], capture_output=True, text=True, check=True, env=environment)

    (info,), modules = json.loads(done.stdout.splitlines()[-1])
    assert "airflow_provider_salesblink.plugins.reports" in modules
    assert "airflow_provider_salesblink.plugins.report_pages" not in modules
    assert [view["name"] for view in info.get("external_views", [])] == ([NAME] if GENERATION == 3 else [])


def test_the_navigation_has_no_item_for_reports_that_nobody_set_up() -> None:
    assert SalesBlinkReportsPlugin.external_views == []
    assert bool(SalesBlinkReportsPlugin.fastapi_apps) is (GENERATION == 3)
