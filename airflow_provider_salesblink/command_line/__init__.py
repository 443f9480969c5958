"""The command line: ``airflow salesblink`` (Airflow 3.2 and later) and ``python -m airflow_provider_salesblink``."""
