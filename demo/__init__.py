"""Demos: load people from a file into a campaign, in a real Airflow, against the sandbox."""
