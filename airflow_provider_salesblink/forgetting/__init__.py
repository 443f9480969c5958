"""Forget a person: in SalesBlink, and in the files that this provider wrote; without Airflow."""
