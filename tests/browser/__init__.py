"""Tests of Airflow's UI and the sandbox's page in a real browser. A package, so that they share package fixtures."""
