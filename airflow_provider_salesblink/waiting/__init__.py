"""Waiting for what happens in SalesBlink, many at a time for one request. Without Airflow."""
