"""A local SalesBlink: both APIs on loopback, with faults, rate limits and all response shapes.

The real SalesBlink has no test mode and emails real people. The sandbox sends no email::

    with Sandbox(seed="demo") as sandbox:
        ...  # a client with sandbox.url and sandbox.key

On the command line: ``python -m airflow_provider_salesblink.sandbox --seed demo``.
"""

try:
    import fastapi  # noqa: F401
    import uvicorn  # noqa: F401
except ModuleNotFoundError as missing:
    message = f"The sandbox needs {missing.name}: pip install 'airflow-provider-salesblink[sandbox]'"
    raise ModuleNotFoundError(message, name=missing.name) from missing

from airflow_provider_salesblink.sandbox.activity import Habit
from airflow_provider_salesblink.sandbox.activity_events import Happening
from airflow_provider_salesblink.sandbox.event_history import History
from airflow_provider_salesblink.sandbox.faults import Fault
from airflow_provider_salesblink.sandbox.limits import Limits
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.records import CampaignState, ListState, Person, Start
from airflow_provider_salesblink.sandbox.request_log import Request
from airflow_provider_salesblink.sandbox.server import Sandbox
from airflow_provider_salesblink.sandbox.shapes import Shapes
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

__all__ = [
    "CampaignState",
    "Fault",
    "Habit",
    "Happening",
    "History",
    "Limits",
    "ListState",
    "Person",
    "Request",
    "Sandbox",
    "SandboxUsageError",
    "Shapes",
    "Start",
    "V1Rules",
]
