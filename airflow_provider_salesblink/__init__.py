"""SalesBlink for Apache Airflow."""
