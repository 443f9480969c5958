"""People into a campaign, without Airflow: rows -> plan -> send -> report."""

from airflow_provider_salesblink.loading.add_schedule import AddsPausedError
from airflow_provider_salesblink.loading.guards import Guards
from airflow_provider_salesblink.loading.load import Mode, load
from airflow_provider_salesblink.loading.options import OptOutRules, RunOptions
from airflow_provider_salesblink.loading.report import LoadFailedError, Report

__all__ = ["AddsPausedError", "Guards", "LoadFailedError", "Mode", "OptOutRules", "Report", "RunOptions", "load"]
