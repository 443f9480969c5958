"""Results out of SalesBlink: what happened to whom, written to files exactly once. Works without Airflow."""
