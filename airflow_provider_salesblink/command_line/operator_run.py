"""Run an operator outside a DAG run, to its end."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_salesblink.command_line import terminal

if TYPE_CHECKING:
    from airflow_provider_salesblink.operators.base import SalesBlinkOperator


def use_all_connections() -> None:
    """Let Airflow look up connections in its database too, and not only in the environment and secrets backends.

    Airflow 3 does so outside of tasks only if this variable is set; its own ``connections test`` sets it.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def run_to_the_end(operator: SalesBlinkOperator) -> dict[str, Any]:
    """Run an operator and return what a task would leave in XCom. Where a task would be deferred, wait here."""
    logger = logging.getLogger(f"{terminal.LOGGER}.operators")
    for name in ("_log", "_cached_logger"):
        # Where Airflow 2 and 3 keep an operator's logger. That of Airflow 3 does not use the handlers of the standard
        # library. If it moves, the lines look different, and still go to standard error.
        object.__setattr__(operator, name, logger)
    run = operator.execute
    arguments: dict[str, Any] = {}
    while True:
        try:
            return run({}, **arguments)
        except TaskDeferred as deferred:
            until = deferred.trigger.moment
            run, arguments = getattr(operator, deferred.method_name), deferred.kwargs or {}
        logger.info("Waiting until %s, and then going on.", until.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
        threading.Event().wait(max(0.0, (until - datetime.now(UTC)).total_seconds()))
