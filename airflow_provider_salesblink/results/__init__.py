"""Results out of SalesBlink: events and the state of people, written to files exactly once. Works without Airflow."""
