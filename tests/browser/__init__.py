"""Airflow's UI and the sandbox's page, in a real browser. A package, so that all its tests share one of each."""
