"""Airflow's operator that asks a person, or on an Airflow below 3.1 a class that says what is needed."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException, BaseOperator

__all__ = ["HITLOperator"]

try:
    from airflow.providers.standard.operators.hitl import HITLOperator
except (ImportError, AirflowOptionalProviderFeatureException):

    class HITLOperator(BaseOperator):  # type: ignore[no-redef]
        """Stands for the operator that Airflow has from 3.1 on."""

        def __init__(self, **_: Any) -> None:
            raise AirflowOptionalProviderFeatureException(
                "ApproveLoadOperator needs Airflow 3.1 or later, with apache-airflow-providers-standard: older "
                "versions cannot ask a person. On this one, look at the output of PlanLoadOperator, and guard the load "
                "with max_adds and max_updates."
            )
