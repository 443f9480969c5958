"""Parsing a DAG costs nothing: operators load neither the client nor the libraries behind it."""

from __future__ import annotations

import json
import subprocess
import sys

_LOADED = """
import json, sys
from airflow.providers.common.compat.sdk import (
    AirflowFailException, BaseHook, BaseOperator, ObjectStoragePath, mask_secret)
before = set(sys.modules)
import airflow_provider_salesblink.provider_info
airflow_provider_salesblink.provider_info.get_provider_info()
import airflow_provider_salesblink.operators.campaigns
import airflow_provider_salesblink.operators.loads
import airflow_provider_salesblink.operators.prospects
import airflow_provider_salesblink.operators.team
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_every_operator_loads_only_what_is_ours_and_light() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _LOADED], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])

    assert [name for name in loaded if not name.startswith("airflow_provider_salesblink")] == []
    assert [name for name in loaded if any(part in name.split(".") for part in ("client", "loading", "sandbox"))] == []


def test_every_operator_module_is_among_them() -> None:
    from airflow_provider_salesblink.provider_info import get_provider_info

    for group in get_provider_info()["operators"]:
        assert all(name in _LOADED for name in group["python-modules"])
