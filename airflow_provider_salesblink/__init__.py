"""An Apache Airflow provider for SalesBlink."""
