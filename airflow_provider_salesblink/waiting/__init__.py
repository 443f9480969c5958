"""Wait for changes in SalesBlink; many waits share one request. No Airflow here."""
