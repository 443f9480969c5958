"""Put the leads of a CSV file into a SalesBlink campaign.

The DAG unsubscribes everybody whose row says that they want no mail, whatever else happens. It checks each other row
and adds the person in a task of their own; people who are in the campaign or opted out are left alone. It then updates
one of the people. If anything fails, it pauses the campaign.

Tasks pass people to each other in files, not in XCom: every Airflow user can read XCom, so it must not hold addresses.
The files are removed when everybody is added; after a failure they stay, so that tasks can be cleared and run again.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSkipException,
    ObjectStoragePath,
    Param,
    task,
)

from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.operators.campaigns import PauseCampaignOperator
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator,
    UnsubscribeOperator,
    UpdateProspectOperator,
)

HERE = Path(__file__).parent
COLUMNS = ("First Name", "Last Name", "Email", "Company")
log = logging.getLogger(__name__)

with DAG(
    "leads_to_campaign",
    description="Add the leads of a CSV file to a SalesBlink campaign",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign to add people to"),
        "leads": Param(f"file://{HERE}/leads.csv", type="string", description="The CSV file, on any object storage"),
        "work_folder": Param(
            f"file://{HERE.parent}/.demo/leads",
            type="string",
            description="Folder for the files that pass people between tasks; all workers must share it",
        ),
    },
):

    @task
    def check_leads(params: dict[str, str], run_id: str) -> list[str]:
        """Write each valid row to a file of its own, and return the paths."""
        folder = _folder(params, run_id)
        # A "no" in one row also counts for other rows of the same person.
        done = _opted_out(params)
        paths = []
        for number, row in enumerate(_rows(params), start=2):
            address = _person(row)
            if _wants_mail(row) is None or "@" not in address:
                log.warning(
                    "Row %d is left out: it has no email address, or 'Wants mail' is neither yes nor no.", number
                )
            elif address not in done:
                path = folder / f"row-{number:05}.json"
                path.write_text(json.dumps({name: row[name] for name in COLUMNS}))
                paths.append(str(path))
                done.add(address)
        return paths

    @task
    def find_opted_out(params: dict[str, str]) -> list[str]:
        """Return the ids of the people who want no more mail."""
        from airflow_provider_salesblink.client import SalesBlinkError

        prospects = SalesBlinkHook().get_conn().prospects
        addresses = sorted(address for address in _opted_out(params) if "@" in address)
        try:
            return [found["id"] for address in addresses for found in prospects.search(address) if found["id"]]
        except SalesBlinkError as error:
            if error.permanent:
                # A retry would not help, as with a wrong key.
                raise AirflowFailException(str(error)) from error
            raise

    @task
    def first_added(results: list[dict[str, str]]) -> str:
        """Return the id of one of the people."""
        known = [result["prospect_id"] for result in results if result["prospect_id"]]
        if not known:
            raise AirflowSkipException("SalesBlink returned no id, which is normal in a dry run.")
        return known[0]

    @task
    def remove_files(params: dict[str, str], run_id: str) -> None:
        """Remove the files, which hold addresses."""
        folder = _folder(params, run_id)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

    @task(trigger_rule="none_failed")
    def finish(results: list[dict[str, str]]) -> dict[str, int]:
        """Count the outcomes. Fails if an earlier task fails, so that a successful pause does not hide the failure."""
        outcomes = [result["outcome"] for result in results]
        return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}

    def _rows(params: dict[str, str]) -> list[dict[str, str]]:
        text = ObjectStoragePath(params["leads"]).read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text))
        missing = [name for name in (*COLUMNS, "Wants mail") if name not in (reader.fieldnames or ())]
        if missing:
            raise AirflowFailException(f"{params['leads']} has no column {missing[0]!r}.")
        return list(reader)

    def _person(row: dict[str, str]) -> str:
        return (row["Email"] or "").strip().casefold()

    def _wants_mail(row: dict[str, str]) -> bool | None:
        return {"yes": True, "no": False}.get((row["Wants mail"] or "").strip().casefold())

    def _opted_out(params: dict[str, str]) -> set[str]:
        return {_person(row) for row in _rows(params) if _wants_mail(row) is False}

    def _folder(params: dict[str, str], run_id: str) -> ObjectStoragePath:
        folder = ObjectStoragePath(params["work_folder"]) / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    leads = check_leads()
    add = AddProspectOperator.partial(
        task_id="add", campaign_id="{{ params.campaign_id }}", on_existing="skip", max_active_tis_per_dag=8
    ).expand(data=leads)
    update = UpdateProspectOperator(
        task_id="update", prospect_id=first_added(add.output), fields={"Lead Source": "Airflow"}
    )
    unsubscribe = UnsubscribeOperator.partial(task_id="unsubscribe").expand(prospect_id=find_opted_out())
    pause = PauseCampaignOperator(
        task_id="pause_on_failure", campaign_id="{{ params.campaign_id }}", trigger_rule="one_failed"
    )

    [update, unsubscribe] >> finish(add.output)
    [leads, add, update, unsubscribe] >> pause
    add >> remove_files()
