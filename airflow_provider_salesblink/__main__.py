"""``python -m airflow_provider_salesblink``: the command line for all versions of Airflow."""

import sys

from airflow_provider_salesblink.command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
