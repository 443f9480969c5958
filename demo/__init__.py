"""The main job, shown: leads from a file into a campaign, in a real Airflow, against the sandbox."""
