"""Send this provider's metrics through Airflow's own, to the back end of Airflow's ``[metrics]`` section."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

try:
    from airflow.sdk.observability.stats import Stats
except ImportError:
    # Airflow 2.11 and the first releases of Airflow 3.
    from airflow.stats import Stats

from airflow_provider_salesblink.metrics import PREFIX

if TYPE_CHECKING:
    from airflow_provider_salesblink.metrics import Metric

log = logging.getLogger(__name__)


class AirflowMetrics:
    """An observer that counts with Airflow's metrics. If they are off, which is the default, Airflow drops the counts.

    The names hold everything, because StatsD drops tags unless it is configured otherwise.

    :param api_version: the API that the client uses, a part of each name.
    """

    def __init__(self, api_version: str) -> None:
        self._prefix = f"{PREFIX}.{api_version}"
        self._is_failure_logged = False

    def count(self, metric: Metric, *words: str, number: int = 1) -> None:
        """Add ``number`` to a metric. An error of the back end is logged once, and does not fail the task."""
        try:
            Stats.incr(".".join((self._prefix, metric.name, *words)), number)
        except Exception as error:  # noqa: BLE001  # a back end may be anybody's class
            self._log_failure(error)

    def _log_failure(self, error: Exception) -> None:
        if not self._is_failure_logged:
            self._is_failure_logged = True
            log.warning(
                "Metrics cannot be sent (%s); the task goes on without them. Check Airflow's [metrics] section.",
                type(error).__name__,
            )
