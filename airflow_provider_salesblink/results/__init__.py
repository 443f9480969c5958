"""Results out of SalesBlink: what became of the people. Works without Airflow."""
